/* Routes each flow to the member with the shortest round trip; the next ones are its fallbacks. */
#include "policy_routing.h"

#define TTL_MS 5000

static const ph_column columns[] = {PH_RTT_MS, {NULL, PH_HALF}};
static const char *const reasons[] = {"shortest round trip", NULL};

const ph_about policy_about = {.summary = "The nearest member.", .columns = columns, .reasons = reasons};

void policy_configure(const ph_setting *settings, size_t count) {
    (void)settings, (void)count;
}

/* Unknown round trips come last. */
static float distance(const ph_class *members, uint32_t row) {
    float rtt_ms = ph_rtt_ms(members, row);
    return isnan(rtt_ms) ? INFINITY : rtt_ms;
}

int32_t policy_route(const ph_class *members, const ph_request *request, ph_answer *out) {
    (void)request;
    /* The nearest ones in order, by insertion: the answer has few places. */
    uint32_t nearest[1 + PH_FALLBACKS_MAX], count = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t row = members->rows[i], place = count;
        while (place > 0 && distance(members, row) < distance(members, nearest[place - 1])) place--;
        if (place >= 1 + PH_FALLBACKS_MAX) continue;
        if (count < 1 + PH_FALLBACKS_MAX) count++;
        for (uint32_t next = count - 1; next > place; next--) nearest[next] = nearest[next - 1];
        nearest[place] = row;
    }
    out->target_rows[0] = nearest[0];
    out->target_weights[0] = 1;
    out->target_count = 1;
    out->fallback_count = count - 1;
    memcpy(out->fallbacks, nearest + 1, (count - 1) * sizeof *nearest);
    out->ttl_ms = TTL_MS;
    out->reason = 0;
    return PH_OK;
}
