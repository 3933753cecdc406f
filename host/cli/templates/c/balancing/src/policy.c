/* Sends each task to the member that is least busy.
 *
 * Up to SCAN_MAX members all are looked at, beyond that two random ones: a decision should take constant time. */
#include "policy_balancing.h"

#define SCAN_MAX 64

enum { ACTIVE, WEIGHT };
static const ph_column columns[] = {PH_U32("active"), PH_F32("weight"), {NULL, PH_HALF}};
static const char *const reasons[] = {"least busy", NULL};

const ph_about policy_about = {.summary = "The member that is least busy.", .columns = columns, .reasons = reasons};

void policy_configure(const ph_setting *settings, size_t count) {
    (void)settings, (void)count;
}

/* How busy a member is; lower is better. */
static float busy(uint32_t row) {
    return (float)ph_u32(ACTIVE, row);
}

float policy_score(const ph_class *members, const ph_request *request, uint32_t row) {
    (void)members, (void)request;
    return -busy(row);
}

int32_t policy_choose(const ph_class *members, const ph_request *request, ph_choice *out) {
    ph_rng rng = {request->seed};
    uint32_t count = members->count, start = ph_below(&rng, count); /* Starting anywhere breaks ties evenly. */
    uint32_t looked_at = count <= SCAN_MAX ? count : 2;
    *out = (ph_choice){members->rows[start], -INFINITY, 0};
    for (uint32_t i = 0; i < looked_at; i++) {
        uint32_t row = members->rows[count <= SCAN_MAX ? (start + i) % count : ph_below(&rng, count)];
        float score = -busy(row);
        if (score > out->score) *out = (ph_choice){row, score, 0};
    }
    return PH_OK;
}
