/* The component: the contract's exports over policy_balancing.h. The only file that knows the bindings. */
#include "policy_balancing.h"
#include "lifecycle.h"
#include "ranking.h"

#define EXPORT(name) exports_pilothouse_balancing_balancing_##name

static ph_request request_of(const EXPORT(request_t) * given) {
    return (ph_request){given->seed, given->now_ms, given->session.is_some, given->session.val};
}

bool EXPORT(choose)(EXPORT(request_t) * given, EXPORT(choice_t) * ret, EXPORT(refusal_t) * err) {
    ph_request request = request_of(given);
    ph_choice chosen;
    int32_t reason = policy_choose(class_or_trap(given->class_), &request, &chosen);
    if (reason != PH_OK) return refuse(reason, err);
    *ret = (EXPORT(choice_t)){chosen.row, chosen.score, chosen.reason};
    return true;
}

bool EXPORT(rank)(EXPORT(request_t) * given, uint32_t limit, EXPORT(list_candidate_t) * ret, EXPORT(refusal_t) * err) {
    ph_request request = request_of(given);
    ph_class *members = class_or_trap(given->class_);
    ph_choice chosen;
    int32_t reason = policy_choose(members, &request, &chosen);
    if (reason != PH_OK) return refuse(reason, err);
    ranked(members, &request, chosen, limit, &ret->ptr, &ret->len);
    return true;
}

void EXPORT(choose_many)(EXPORT(list_request_t) * requests, EXPORT(list_result_choice_refusal_t) * ret) {
    ret->len = requests->len;
    ret->ptr = malloc((requests->len ? requests->len : 1) * sizeof *ret->ptr);
    for (size_t i = 0; i < requests->len; i++) {
        EXPORT(choice_t) chosen;
        EXPORT(refusal_t) refusal;
        bool is_ok = EXPORT(choose)(&requests->ptr[i], &chosen, &refusal);
        ret->ptr[i].is_err = !is_ok;
        if (is_ok) ret->ptr[i].val.ok = chosen;
        else ret->ptr[i].val.err = refusal;
    }
    EXPORT(list_request_free)(requests);
}

