/* Keeps so many replicas that each is busy for a share of its time. */
#include "policy_scaling.h"

enum { STEADY, UNKNOWN };
static const ph_column columns[] = {{NULL, PH_HALF}};
static const char *const reasons[] = {"by utilisation", "utilisation is not known", NULL};
static double target = 0.7;

const ph_about policy_about = {
    .summary = "A share of busy time for each replica.",
    .columns = columns,
    .reasons = reasons,
    .settings_schema = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"target\":{\"type\":\"number\","
                       "\"minimum\":0.1,\"maximum\":1,\"default\":0.7,"
                       "\"description\":\"Share of its time that a replica is busy.\"}}}",
};

void policy_configure(const ph_setting *settings, size_t count) {
    target = ph_number(settings, count, "target", 0.7);
}

int32_t policy_scale(const ph_request *request, ph_target *out) {
    const ph_sample *last = request->sample_count ? &request->samples[request->sample_count - 1] : NULL;
    *out = (ph_target){request->replicas, 0, NAN, UNKNOWN};
    if (!last || !(last->utilisation >= 0 && last->utilisation <= 1)) return PH_OK;
    double wanted = ceil((double)last->utilisation * last->ready_replicas / target);
    uint32_t replicas = wanted < request->max_replicas ? (uint32_t)wanted : request->max_replicas;
    if (replicas < request->min_replicas) replicas = request->min_replicas;
    *out = (ph_target){replicas, 1, last->arrivals_per_s, STEADY};
    return PH_OK;
}
