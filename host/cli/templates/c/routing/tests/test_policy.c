/* Tests of the policy without Wasm: `pilothouse policy test` compiles and runs them. */
#include "policy_routing.h"

#include <stdio.h>

#define CHECK(what) \
    if (!(what)) return printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #what), 1

int main(void) {
    uint32_t rows[] = {0, 1, 2};
    float rtt_ms[] = {80, NAN, 20};
    ph_class members = {.id = 1, .count = 3, .rows = rows, .rtt_ms = rtt_ms, .rtt_count = 3};
    ph_answer answer = {0};
    CHECK(policy_route(&members, &(ph_request){.seed = 1}, &answer) == PH_OK);
    CHECK(answer.target_count == 1 && answer.target_rows[0] == 2);
    CHECK(answer.fallback_count == 2 && answer.fallbacks[0] == 0 && answer.fallbacks[1] == 1);
    printf("the nearest member serves and the others wait\n");
    return 0;
}
