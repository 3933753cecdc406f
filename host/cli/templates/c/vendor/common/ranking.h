/* The alternatives of a choice: what was chosen, then the others by score. Included by component.c of two families. */
typedef struct {
    float score;
    uint32_t row;
} scored;

static int better(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static void ranked(const ph_class *members, const ph_request *request, ph_choice chosen, uint32_t limit,
                   pilothouse_host_types_candidate_t **out, size_t *len) {
    scored *others = malloc((members->count ? members->count : 1) * sizeof *others);
    size_t count = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t row = members->rows[i];
        float score = policy_score(members, request, row);
        if (row != chosen.row && score != -INFINITY && !isnan(score)) others[count++] = (scored){score, row};
    }
    qsort(others, count, sizeof *others, better);
    *out = malloc((size_t)limit * sizeof **out);
    *len = 0;
    (*out)[(*len)++] = (pilothouse_host_types_candidate_t){chosen.row, chosen.score, chosen.reason, {NULL, 0}};
    for (size_t i = 0; i < count && *len < limit; i++) {
        (*out)[(*len)++] = (pilothouse_host_types_candidate_t){others[i].row, others[i].score, chosen.reason, {NULL, 0}};
    }
    free(others);
}
