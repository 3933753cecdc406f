/* What a balancing policy in C implements. */
#include "pilothouse.h"

typedef struct {
    uint64_t seed;
    uint64_t now_ms;
    bool has_session;
    uint64_t session;
} ph_request;

/* Picks one of `members->rows`: PH_OK and `out`, or PH_NOTHING_SUITS(reason). */
int32_t policy_choose(const ph_class *members, const ph_request *request, ph_choice *out);
/* How good a row is, higher is better; orders the alternatives. */
float policy_score(const ph_class *members, const ph_request *request, uint32_t row);
