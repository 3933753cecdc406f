/* Tests of the policy without Wasm: `pilothouse policy test` compiles and runs them. */
#include "policy_placement.h"

#include <stdio.h>

#define CHECK(what) \
    if (!(what)) return printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #what), 1

int main(void) {
    uint32_t rows[] = {0, 1};
    ph_class members = {.id = 1, .count = 2, .rows = rows};
    ph_choice chosen;
    for (uint32_t row = 0; row < 2; row++) {
        ph_test_u32(0, row, row ? 5000 : 3000);
        ph_test_u32(1, row, 8000);
    }
    CHECK(policy_choose(&members, &(ph_request){.cpu_millis = 2000}, &chosen) == PH_OK && chosen.row == 1);
    CHECK(policy_choose(&members, &(ph_request){.cpu_millis = 6000}, &chosen) == PH_NOTHING_SUITS(1));
    printf("the most free member takes the workload; without room nothing suits\n");
    return 0;
}
