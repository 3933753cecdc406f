/* Tests of the policy without Wasm: `pilothouse policy test` compiles and runs them. */
#include "policy_balancing.h"

#include <stdio.h>

#define CHECK(what) \
    if (!(what)) return printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #what), 1

static ph_class fleet_of(uint32_t rows[], uint32_t count, const uint32_t active[]) {
    ph_test_reset();
    for (uint32_t row = 0; row < count; row++) {
        rows[row] = row;
        ph_test_u32(0, row, active[row]);
        ph_test_f32(1, row, 1.0f);
    }
    return (ph_class){.id = 1, .count = count, .rows = rows};
}

int main(void) {
    uint32_t rows[4];
    ph_choice chosen;
    ph_class members = fleet_of(rows, 3, (uint32_t[]){9, 2, 5});
    CHECK(policy_choose(&members, &(ph_request){.seed = 1}, &chosen) == PH_OK && chosen.row == 1);

    members = fleet_of(rows, 4, (uint32_t[]){1, 1, 1, 1});
    uint32_t counts[4] = {0};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        policy_choose(&members, &(ph_request){.seed = seed * 0x9e3779b97f4a7c15u}, &chosen);
        counts[chosen.row]++;
    }
    for (int i = 0; i < 4; i++) CHECK(counts[i] > 800 && counts[i] < 1200);
    printf("the least busy member takes the task; equals share\n");
    return 0;
}
