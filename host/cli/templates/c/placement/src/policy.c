/* Places each workload on the member with the most free CPU that has room for it. */
#include "policy_placement.h"

enum { CPU_FREE, CPU_TOTAL, MEMORY_FREE, MEMORY_TOTAL };
enum { MOST_FREE, NO_ROOM };
static const ph_column columns[] = {
    PH_U32("cpu-millis-free"), PH_U32("cpu-millis-total"), PH_U32("memory-mib-free"), PH_U32("memory-mib-total"),
    {NULL, PH_HALF},
};
static const char *const reasons[] = {"most free CPU", "nobody has room", NULL};

const ph_about policy_about = {.summary = "The member with the most free CPU.", .columns = columns, .reasons = reasons};

void policy_configure(const ph_setting *settings, size_t count) {
    (void)settings, (void)count;
}

/* A total of 0 means that it is not known. */
static bool fits(unsigned total, unsigned available, uint32_t row, uint32_t wanted) {
    return ph_u32(total, row) == 0 || ph_u32(available, row) >= wanted;
}

float policy_score(const ph_class *members, const ph_request *request, uint32_t row) {
    (void)members;
    bool has_room = fits(CPU_TOTAL, CPU_FREE, row, request->cpu_millis) &&
                    fits(MEMORY_TOTAL, MEMORY_FREE, row, request->memory_mib);
    return has_room ? (float)ph_u32(CPU_FREE, row) : -INFINITY;
}

int32_t policy_choose(const ph_class *members, const ph_request *request, ph_choice *out) {
    *out = (ph_choice){0, -INFINITY, MOST_FREE};
    for (uint32_t i = 0; i < members->count; i++) {
        float score = policy_score(members, request, members->rows[i]);
        if (score > out->score) *out = (ph_choice){members->rows[i], score, MOST_FREE};
    }
    return out->score == -INFINITY ? PH_NOTHING_SUITS(NO_ROOM) : PH_OK;
}
