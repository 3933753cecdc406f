/* What a scaling policy in C implements. */
#include "pilothouse.h"

/* Values that are unknown are NaN. */
typedef struct {
    uint64_t at_ms;
    float arrivals_per_s, completions_per_s, queue_depth, utilisation, service_ms;
    uint32_t ready_replicas;
} ph_sample;

typedef struct {
    uint64_t seed, now_ms;
    uint32_t replicas, min_replicas, max_replicas, start_ms, period_ms;
    uint64_t last_change_ms;
    const ph_sample *samples; /* oldest first */
    size_t sample_count;
} ph_request;

typedef struct {
    uint32_t replicas;
    float confidence, forecast_per_s;
    uint32_t reason;
} ph_target;

/* Decides for one group: PH_OK and `out`, or PH_NOTHING_SUITS(reason). */
int32_t policy_scale(const ph_request *request, ph_target *out);
