/* Tests of the policy without Wasm: `pilothouse policy test` compiles and runs them. */
#include "policy_scaling.h"

#include <stdio.h>

#define CHECK(what) \
    if (!(what)) return printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #what), 1

static ph_target of(float utilisation, uint32_t ready, size_t samples) {
    ph_sample sample = {.utilisation = utilisation, .ready_replicas = ready};
    ph_request request = {.replicas = ready, .max_replicas = 100, .samples = &sample, .sample_count = samples};
    ph_target target;
    policy_scale(&request, &target);
    return target;
}

int main(void) {
    CHECK(of(0.7f, 10, 1).replicas == 10);
    CHECK(of(0.06f, 10, 1).replicas == 1);
    CHECK(of(0.9f, 10, 0).replicas == 10 && of(0.9f, 10, 0).reason == 1);
    printf("replicas follow the work; without samples the count stays\n");
    return 0;
}
