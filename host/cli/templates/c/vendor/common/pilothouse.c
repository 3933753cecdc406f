/* The mirror of the fleet and the classes, kept as the host pushed them. Knows no bindings, so that tests run anywhere. */
#include "pilothouse.h"

#include <stdlib.h>

#define LANES 64
#define CLASSES_MAX 64

static uint64_t **blocks;
static size_t block_count;
static ph_class classes[CLASSES_MAX];
static bool in_use[CLASSES_MAX];

static size_t words_of(ph_layout layout) {
    switch (layout) {
    case PH_HALF: return 32;
    case PH_WHOLE: return 64;
    case PH_BITS: return 256;
    default: return 0;
    }
}

static size_t offset_of(unsigned column) {
    size_t offset = 0;
    for (unsigned i = 0; i < column && policy_about.columns[i].name; i++) offset += words_of(policy_about.columns[i].layout);
    return offset;
}

static size_t words_of_block(void) {
    unsigned count = 0;
    while (policy_about.columns[count].name) count++;
    return offset_of(count);
}

static uint64_t *block_of(uint32_t row) {
    return row / LANES < block_count ? blocks[row / LANES] : NULL;
}

uint32_t ph_u32(unsigned column, uint32_t row) {
    uint64_t *words = block_of(row);
    if (!words) return 0;
    uint32_t lane = row % LANES;
    return (uint32_t)(words[offset_of(column) + lane / 2] >> (32 * (lane % 2)));
}

float ph_f32(unsigned column, uint32_t row) {
    uint32_t bits = ph_u32(column, row);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t ph_u64(unsigned column, uint32_t row) {
    uint64_t *words = block_of(row);
    return words ? words[offset_of(column) + row % LANES] : 0;
}

float ph_rtt_ms(const ph_class *members, uint32_t row) {
    return row < members->rtt_count ? members->rtt_ms[row] : NAN;
}

/* splitmix64 */
uint64_t ph_next(ph_rng *rng) {
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t ph_below(ph_rng *rng, uint32_t bound) {
    return bound ? (uint32_t)((uint64_t)(uint32_t)(ph_next(rng) >> 32) * bound >> 32) : 0;
}

double ph_number(const ph_setting *settings, size_t count, const char *path, double otherwise) {
    for (size_t i = 0; i < count; i++)
        if (settings[i].path_len == strlen(path) && !memcmp(settings[i].path, path, settings[i].path_len))
            return settings[i].number;
    return otherwise;
}

bool ph_sync_block(uint32_t rows, uint32_t index, const uint64_t *words, size_t count) {
    size_t wanted = ((size_t)rows + LANES - 1) / LANES, bytes = words_of_block() * sizeof *words;
    if (index >= wanted || count * sizeof *words < bytes) return false;
    if (wanted > block_count) {
        uint64_t **more = realloc(blocks, wanted * sizeof *blocks);
        if (!more) return false;
        blocks = more;
        while (block_count < wanted) blocks[block_count++] = NULL;
    }
    while (block_count > wanted) free(blocks[--block_count]);
    if (!blocks[index] && !(blocks[index] = calloc(1, bytes ? bytes : 1))) return false;
    memcpy(blocks[index], words, bytes);
    return true;
}

ph_class *ph_class_find(uint32_t id) {
    for (size_t i = 0; i < CLASSES_MAX; i++)
        if (in_use[i] && classes[i].id == id) return &classes[i];
    return NULL;
}

ph_class *ph_class_slot(uint32_t id) {
    ph_class *found = ph_class_find(id);
    for (size_t i = 0; !found && i < CLASSES_MAX; i++)
        if (!in_use[i]) {
            in_use[i] = true;
            found = &classes[i];
            found->id = id;
        }
    return found;
}

bool ph_class_set(ph_class *members, const uint64_t *eligible, size_t words) {
    uint32_t count = 0;
    for (size_t i = 0; i < words; i++) count += (uint32_t)__builtin_popcountll(eligible[i]);
    uint32_t *rows = realloc(members->rows, (count ? count : 1) * sizeof *rows);
    if (!rows) return false;
    members->rows = rows;
    members->count = 0;
    for (size_t i = 0; i < words; i++)
        for (uint64_t left = eligible[i]; left; left &= left - 1)
            rows[members->count++] = (uint32_t)(i * LANES) + (uint32_t)__builtin_ctzll(left);
    return true;
}

void ph_class_drop(uint32_t id) {
    ph_class *found = ph_class_find(id);
    if (!found) return;
    free(found->rows);
    free(found->rtt_ms);
    in_use[found - classes] = false;
    *found = (ph_class){0};
}

static uint64_t *test_block(void) {
    static uint64_t empty[64 * 256];
    if (!block_count) ph_sync_block(LANES, 0, empty, sizeof empty / sizeof *empty);
    return blocks[0];
}

void ph_test_reset(void) {
    while (block_count) free(blocks[--block_count]);
}

void ph_test_u32(unsigned column, uint32_t row, uint32_t value) {
    uint64_t *word = &test_block()[offset_of(column) + row % LANES / 2];
    uint64_t shift = 32 * (row % 2);
    *word = (*word & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

void ph_test_f32(unsigned column, uint32_t row, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    ph_test_u32(column, row, bits);
}
