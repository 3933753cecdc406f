/* The lifecycle that every family exports; included once, by component.c. What crosses belongs to whoever gets it. */
#include <stdlib.h>

#include "pilothouse.h"
#include "policy.h"

#define LIFECYCLE(name) exports_pilothouse_host_lifecycle_##name

static policy_list_string_t texts(const char *const *list) {
    policy_list_string_t all = {NULL, 0};
    while (list && list[all.len]) all.len++;
    all.ptr = malloc((all.len ? all.len : 1) * sizeof *all.ptr);
    for (size_t i = 0; i < all.len; i++) policy_string_dup(&all.ptr[i], list[i]);
    return all;
}

void LIFECYCLE(describe)(LIFECYCLE(description_t) * ret) {
    policy_string_dup(&ret->name, POLICY_NAME);
    policy_string_dup(&ret->version, POLICY_VERSION);
    policy_string_dup(&ret->summary, policy_about.summary);
    policy_string_dup(&ret->settings_schema, policy_about.settings_schema ? policy_about.settings_schema : "");
    size_t count = 0;
    while (policy_about.columns[count].name) count++;
    ret->columns.len = count;
    ret->columns.ptr = malloc((count ? count : 1) * sizeof *ret->columns.ptr);
    for (size_t i = 0; i < count; i++) policy_string_dup(&ret->columns.ptr[i], policy_about.columns[i].name);
    ret->reasons = texts(policy_about.reasons);
    ret->factors = texts(policy_about.factors);
}

bool LIFECYCLE(configure)(LIFECYCLE(list_setting_t) * settings, LIFECYCLE(list_setting_problem_t) * err) {
    (void)err;
    ph_setting *flat = calloc(settings->len ? settings->len : 1, sizeof *flat);
    for (size_t i = 0; i < settings->len; i++) {
        LIFECYCLE(setting_t) *one = &settings->ptr[i];
        flat[i] = (ph_setting){(const char *)one->path.ptr, one->path.len, 0};
        switch (one->value.tag) {
        case EXPORTS_PILOTHOUSE_HOST_LIFECYCLE_SETTING_VALUE_FLAG: flat[i].number = one->value.val.flag; break;
        case EXPORTS_PILOTHOUSE_HOST_LIFECYCLE_SETTING_VALUE_INTEGER: flat[i].number = (double)one->value.val.integer; break;
        case EXPORTS_PILOTHOUSE_HOST_LIFECYCLE_SETTING_VALUE_NUMBER: flat[i].number = one->value.val.number; break;
        default: break;
        }
    }
    policy_configure(flat, settings->len);
    free(flat);
    LIFECYCLE(list_setting_free)(settings);
    return true;
}

void LIFECYCLE(sync_block)(uint64_t epoch, uint32_t rows, uint32_t index, policy_list_u64_t *words) {
    (void)epoch;
    if (!ph_sync_block(rows, index, words->ptr, words->len)) __builtin_trap();
    policy_list_u64_free(words);
}

void LIFECYCLE(sync_class)(LIFECYCLE(class_update_t) * update) {
    ph_class *members = ph_class_slot(update->class_);
    if (!members || !ph_class_set(members, update->eligible.ptr, update->eligible.len)) __builtin_trap();
    members->source_region = update->source_region;
    members->source_zone = update->source_zone;
    free(members->rtt_ms);
    members->rtt_count = (uint32_t)update->rtt_ms.len;
    members->rtt_ms = malloc((update->rtt_ms.len ? update->rtt_ms.len : 1) * sizeof(float));
    memcpy(members->rtt_ms, update->rtt_ms.ptr, update->rtt_ms.len * sizeof(float));
    LIFECYCLE(class_update_free)(update);
}

void LIFECYCLE(drop_class)(uint32_t id) {
    ph_class_drop(id);
}

/* Why there is no answer, as the contract says it. */
static inline bool refuse(int32_t reason, pilothouse_host_types_refusal_t *err) {
    err->tag = PILOTHOUSE_HOST_TYPES_REFUSAL_NOTHING_SUITS;
    err->val.nothing_suits = (uint32_t)reason;
    return false;
}

static inline ph_class *class_or_trap(uint32_t id) {
    ph_class *members = ph_class_find(id);
    if (!members) __builtin_trap();
    return members;
}
