/* The component: the contract's exports over policy_scaling.h. The only file that knows the bindings. */
#include "policy_scaling.h"
#include "lifecycle.h"

#define EXPORT(name) exports_pilothouse_scaling_scaling_##name

static bool scale(EXPORT(request_t) * given, EXPORT(target_t) * ret, EXPORT(refusal_t) * err) {
    size_t count = given->samples.len;
    ph_sample *samples = malloc((count ? count : 1) * sizeof *samples);
    for (size_t i = 0; i < count; i++) {
        EXPORT(sample_t) *one = &given->samples.ptr[i];
        samples[i] = (ph_sample){one->at_ms,       one->arrivals_per_s, one->completions_per_s, one->queue_depth,
                                 one->utilisation, one->service_ms,     one->ready_replicas};
    }
    ph_request request = {given->seed,         given->now_ms,       given->replicas,  given->min_replicas,
                          given->max_replicas, given->start_ms,     given->period_ms, given->last_change_ms,
                          samples,             count};
    ph_target target = {0};
    int32_t reason = policy_scale(&request, &target);
    free(samples);
    if (reason != PH_OK) return refuse(reason, err);
    *ret = (EXPORT(target_t)){target.replicas, target.confidence, target.forecast_per_s, target.reason};
    return true;
}

bool EXPORT(scale)(EXPORT(request_t) * given, EXPORT(target_t) * ret, EXPORT(refusal_t) * err) {
    bool is_ok = scale(given, ret, err);
    EXPORT(request_free)(given);
    return is_ok;
}

void EXPORT(scale_many)(EXPORT(list_request_t) * requests, EXPORT(list_result_target_refusal_t) * ret) {
    ret->len = requests->len;
    ret->ptr = malloc((requests->len ? requests->len : 1) * sizeof *ret->ptr);
    for (size_t i = 0; i < requests->len; i++) {
        EXPORT(target_t) target;
        EXPORT(refusal_t) refusal;
        bool is_ok = scale(&requests->ptr[i], &target, &refusal);
        ret->ptr[i].is_err = !is_ok;
        if (is_ok) ret->ptr[i].val.ok = target;
        else ret->ptr[i].val.err = refusal;
    }
    EXPORT(list_request_free)(requests);
}
