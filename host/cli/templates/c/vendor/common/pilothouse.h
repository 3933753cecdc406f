/* What a policy in C reads and answers. Units are those of wit/. Nothing here allocates during a decision. */
#ifndef PILOTHOUSE_H
#define PILOTHOUSE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A column that a policy wants, by its name in wit/host/lifecycle.wit, and where its words begin in a block. */
typedef enum { PH_HALF, PH_WHOLE, PH_BITS, PH_CLASS } ph_layout;
typedef struct {
    const char *name;
    ph_layout layout;
} ph_column;

#define PH_F32(name) {name, PH_HALF}
#define PH_U32(name) {name, PH_HALF}
#define PH_U64(name) {name, PH_WHOLE}
#define PH_SETS(name) {name, PH_BITS}
#define PH_RTT_MS {"rtt-ms", PH_CLASS}

/* Who the policy is. Lists end with NULL (columns: with a NULL name). */
typedef struct {
    const char *summary;
    const ph_column *columns;
    const char *settings_schema;
    const char *const *reasons;
    const char *const *factors;
} ph_about;
extern const ph_about policy_about;

/* The settings, flattened: "weights.latency". Called once before any decision. */
typedef struct {
    const char *path;
    size_t path_len;
    double number; /* a flag is 0 or 1 */
} ph_setting;
void policy_configure(const ph_setting *settings, size_t count);
double ph_number(const ph_setting *settings, size_t count, const char *path, double otherwise);

/* The mirror of the fleet. `column` is an index into `policy_about.columns`. Unknown rows read as 0. */
float ph_f32(unsigned column, uint32_t row);
uint32_t ph_u32(unsigned column, uint32_t row);
uint64_t ph_u64(unsigned column, uint32_t row);

/* The members that are eligible for a request, ascending; at least one. */
typedef struct {
    uint32_t id;
    uint32_t count;
    uint32_t *rows;
    uint32_t source_region, source_zone;
    float *rtt_ms; /* by row; NULL unless declared and known */
    uint32_t rtt_count;
} ph_class;
float ph_rtt_ms(const ph_class *members, uint32_t row);

/* Randomness from the request's seed. */
typedef struct {
    uint64_t state;
} ph_rng;
uint64_t ph_next(ph_rng *rng);
uint32_t ph_below(ph_rng *rng, uint32_t bound);

/* Answers. A decision returns PH_OK, or why there is none. */
#define PH_OK (-1)
#define PH_NOTHING_SUITS(reason) ((int32_t)(reason))
typedef struct {
    uint32_t row;
    float score;
    uint32_t reason;
} ph_choice;

/* What the host pushes; component.c calls these, and tests may. */
bool ph_sync_block(uint32_t rows, uint32_t index, const uint64_t *words, size_t count);
ph_class *ph_class_slot(uint32_t id);
ph_class *ph_class_find(uint32_t id);
bool ph_class_set(ph_class *members, const uint64_t *eligible, size_t words);
void ph_class_drop(uint32_t id);

/* For tests: a row of a column of halves, in a fleet of at most 64. */
void ph_test_reset(void);
void ph_test_f32(unsigned column, uint32_t row, float value);
void ph_test_u32(unsigned column, uint32_t row, uint32_t value);

#endif
