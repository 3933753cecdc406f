/* What a routing policy in C implements. */
#include "pilothouse.h"

#define PH_TARGETS_MAX 16
#define PH_FALLBACKS_MAX 8

typedef struct {
    uint64_t seed;
    uint64_t now_ms;
    uint8_t traffic_class;
    float latency_goal_ms;
} ph_request;

typedef struct {
    uint32_t target_rows[PH_TARGETS_MAX], target_weights[PH_TARGETS_MAX];
    uint32_t target_count;
    uint32_t fallbacks[PH_FALLBACKS_MAX];
    uint32_t fallback_count;
    uint32_t ttl_ms;
    uint32_t reason;
} ph_answer;

/* Routes one flow: PH_OK and `out`, or PH_NOTHING_SUITS(reason). */
int32_t policy_route(const ph_class *members, const ph_request *request, ph_answer *out);
