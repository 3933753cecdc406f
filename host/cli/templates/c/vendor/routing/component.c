/* The component: the contract's exports over policy_routing.h. The only file that knows the bindings. */
#include "policy_routing.h"
#include "lifecycle.h"

#define EXPORT(name) exports_pilothouse_routing_routing_##name

bool EXPORT(route)(EXPORT(request_t) * given, EXPORT(answer_t) * ret, EXPORT(refusal_t) * err) {
    ph_request request = {given->seed, given->now_ms, given->traffic_class, given->latency_goal_ms};
    ph_answer answer = {0};
    int32_t reason = policy_route(class_or_trap(given->class_), &request, &answer);
    if (reason != PH_OK) return refuse(reason, err);
    ret->targets.len = answer.target_count;
    ret->targets.ptr = malloc(PH_TARGETS_MAX * sizeof *ret->targets.ptr);
    for (uint32_t i = 0; i < answer.target_count; i++)
        ret->targets.ptr[i] = (EXPORT(target_t)){answer.target_rows[i], answer.target_weights[i]};
    ret->fallbacks.len = answer.fallback_count;
    ret->fallbacks.ptr = malloc(PH_FALLBACKS_MAX * sizeof *ret->fallbacks.ptr);
    memcpy(ret->fallbacks.ptr, answer.fallbacks, answer.fallback_count * sizeof *answer.fallbacks);
    ret->ttl_ms = answer.ttl_ms;
    ret->reason = answer.reason;
    return true;
}

void EXPORT(route_many)(EXPORT(list_request_t) * requests, EXPORT(list_result_answer_refusal_t) * ret) {
    ret->len = requests->len;
    ret->ptr = malloc((requests->len ? requests->len : 1) * sizeof *ret->ptr);
    for (size_t i = 0; i < requests->len; i++) {
        EXPORT(answer_t) answer;
        EXPORT(refusal_t) refusal;
        bool is_ok = EXPORT(route)(&requests->ptr[i], &answer, &refusal);
        ret->ptr[i].is_err = !is_ok;
        if (is_ok) ret->ptr[i].val.ok = answer;
        else ret->ptr[i].val.err = refusal;
    }
    EXPORT(list_request_free)(requests);
}
