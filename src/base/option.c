/*
 * The set of options: which table is bound to which struct, lookup by name, changes that are made
 * together or not at all.
 *
 * A change happens in three steps: read all values, swap all of them in, then let every apply
 * function see the new state. Only the last step can have effects outside, and it is undone by
 * swapping back and applying again. Lookup walks the tables; there are some dozens of options and
 * nothing hot asks for them by name.
 */
#include "tarn/base/option.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "option_value.h"

struct binding {
    const struct option_table *table;
    void *values; /* borrowed; the texts in it are owned by the set */
    option_apply_fn apply;
    void *ctx; /* borrowed */
};

struct option_set {
    struct binding bindings[OPTION_TABLES_MAX];
    size_t count;
};

/* A place in the tables. */
struct found {
    const struct binding *binding;
    const struct option *option;
};

int option_set_create(struct option_set **out)
{
    struct option_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return -ENOMEM;
    }
    *out = set;
    return 0;
}

/* Frees the texts of the first `count` rows. */
static void free_texts(const struct option_table *table, void *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct option *option = &table->rows[i];
        if (option->type == OPTION_STRING || option->type == OPTION_STRINGS) {
            struct option_value none = {0};
            option_value_swap(option, values, &none);
            option_value_fini(&none);
        }
    }
}

void option_set_destroy(struct option_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct binding *b = &set->bindings[i];
        free_texts(b->table, b->values, b->table->count);
    }
    free(set);
}

static bool find(const struct option_set *set, struct strview name, struct found *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct binding *b = &set->bindings[i];
        for (size_t k = 0; k < b->table->count; k++) {
            if (strview_eq_nocase(name, b->table->rows[k].name)) {
                *out = (struct found){.binding = b, .option = &b->table->rows[k]};
                return true;
            }
        }
    }
    return false;
}

int option_set_add(struct option_set *set, const struct option_table *table, void *values,
                   option_apply_fn apply, void *ctx)
{
    assert(set->count < OPTION_TABLES_MAX);
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->rows[i];
        struct found other;
        assert(!find(set, strview_str(option->name), &other));
        (void)other;
        struct errtext err;
        struct option_value value;
        int result = option_value_parse(option, strview_str(option->def), &value, &err);
        assert(result <= OPTION_OK);
        if (result != OPTION_OK) {
            free_texts(table, values, i);
            return result < 0 ? result : -EINVAL;
        }
        option_value_put(option, values, &value);
    }
    set->bindings[set->count++] = (struct binding){
        .table = table, .values = values, .apply = apply, .ctx = ctx};
    return 0;
}

int option_set_load(struct option_set *set, struct strview name, struct strview value,
                    struct errtext *err)
{
    struct found f;
    if (!find(set, name, &f)) {
        errtext_set(err, "unknown option");
        return OPTION_UNKNOWN;
    }
    struct option_value parsed;
    int result = option_value_parse(f.option, value, &parsed, err);
    if (result != OPTION_OK) {
        return result;
    }
    option_value_swap(f.option, f.binding->values, &parsed);
    option_value_fini(&parsed);
    return OPTION_OK;
}

/* One change on its way. `value` holds the new value until it is swapped in, the old one
 * afterwards. */
struct step {
    struct found at;
    struct option_value value;
    bool is_new; /* differs from what the field held */
};

/* Is this an option that may be changed, and has not been named before? */
static int find_step(const struct option_set *set, const struct option_change *change,
                     struct step *steps, size_t i, struct errtext *err)
{
    struct step *step = &steps[i];
    if (!find(set, change->name, &step->at)) {
        errtext_set(err, "unknown option");
        return OPTION_UNKNOWN;
    }
    if ((step->at.option->flags & OPTION_FIXED) != 0) {
        errtext_set(err, "can't set immutable config");
        return OPTION_IS_FIXED;
    }
    for (size_t k = 0; k < i; k++) {
        if (steps[k].at.option == step->at.option) {
            errtext_set(err, "duplicate parameter");
            return OPTION_BAD;
        }
    }
    return OPTION_OK;
}

static int parse_step(const struct option_change *change, struct step *step, struct errtext *err)
{
    int result = option_value_parse(step->at.option, change->value, &step->value, err);
    if (result == OPTION_OK) {
        step->is_new = !option_value_is_current(step->at.option, step->at.binding->values,
                                                &step->value);
    }
    return result;
}

static void swap_steps(struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        option_value_swap(steps[i].at.option, steps[i].at.binding->values, &steps[i].value);
    }
}

static int apply_step(const struct step *step, struct errtext *err)
{
    const struct binding *b = step->at.binding;
    if (!step->is_new || b->apply == NULL) {
        return 0;
    }
    return b->apply(b->ctx, step->at.option, err);
}

/* Swaps all values in and applies them, or leaves everything as it was. */
static int commit_steps(struct step *steps, size_t count, size_t *failed_at, struct errtext *err)
{
    swap_steps(steps, count);
    size_t i = 0;
    while (i < count && apply_step(&steps[i], err) == 0) {
        i++;
    }
    if (i == count) {
        return OPTION_OK;
    }
    swap_steps(steps, count);
    for (size_t k = 0; k < i; k++) {
        struct errtext ignored;
        (void)apply_step(&steps[k], &ignored); /* the old value was fine a moment ago */
    }
    *failed_at = i;
    return OPTION_REFUSED;
}

int option_set_change(struct option_set *set, const struct option_change *changes, size_t count,
                      size_t *failed_at, struct errtext *err)
{
    if (count == 0) {
        return OPTION_OK;
    }
    struct step *steps = calloc(count, sizeof(*steps));
    if (steps == NULL) {
        *failed_at = 0;
        return -ENOMEM;
    }
    /* What is wrong with a name is said before anything about a value. */
    int result = OPTION_OK;
    for (size_t i = 0; i < 2 * count && result == OPTION_OK; i++) {
        const size_t at = i % count;
        result = i < count ? find_step(set, &changes[at], steps, at, err)
                           : parse_step(&changes[at], &steps[at], err);
        if (result != OPTION_OK) {
            *failed_at = at;
        }
    }
    if (result == OPTION_OK) {
        result = commit_steps(steps, count, failed_at, err);
    }
    for (size_t i = 0; i < count; i++) {
        option_value_fini(&steps[i].value);
    }
    free(steps);
    return result;
}

bool option_set_get(const struct option_set *set, struct strview name, struct buf *out)
{
    struct found f;
    if (!find(set, name, &f)) {
        return false;
    }
    (void)option_value_print(f.option, f.binding->values, out); /* `out` remembers a failure */
    return true;
}

int option_set_walk(const struct option_set *set, option_visit_fn fn, void *ctx)
{
    struct buf text;
    buf_init(&text);
    int result = 0;
    for (size_t i = 0; i < set->count && result == 0; i++) {
        const struct binding *b = &set->bindings[i];
        for (size_t k = 0; k < b->table->count && result == 0; k++) {
            buf_clear(&text);
            result = option_value_print(&b->table->rows[k], b->values, &text)
                         ? fn(ctx, b->table, &b->table->rows[k], buf_view(&text))
                         : -ENOMEM;
        }
    }
    buf_fini(&text);
    return result;
}

int option_set_compare(const struct option_set *set, const struct option_set *other,
                       option_visit_fn fn, void *ctx)
{
    struct buf mine, theirs;
    buf_init(&mine);
    buf_init(&theirs);
    int result = 0;
    assert(set->count == other->count);
    for (size_t i = 0; i < set->count && result == 0; i++) {
        const struct option_table *table = set->bindings[i].table;
        assert(table == other->bindings[i].table);
        for (size_t k = 0; k < table->count && result == 0; k++) {
            const struct option *option = &table->rows[k];
            buf_clear(&mine);
            buf_clear(&theirs);
            if (!option_value_write(option, set->bindings[i].values, &mine) ||
                !option_value_write(option, other->bindings[i].values, &theirs)) {
                result = -ENOMEM;
            } else if (!strview_eq(buf_view(&mine), buf_view(&theirs))) {
                result = fn(ctx, table, option, buf_view(&mine));
            }
        }
    }
    buf_fini(&mine);
    buf_fini(&theirs);
    return result;
}

const char *option_set_suggest(const struct option_set *set, struct strview name)
{
    /* A third of the letters wrong is still a slip of the fingers, more is another word. */
    unsigned best_distance = (unsigned)size_min(name.len, 63) / 3 + 1;
    const char *best = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct option_table *table = set->bindings[i].table;
        for (size_t k = 0; k < table->count; k++) {
            unsigned distance = strview_distance(name, strview_str(table->rows[k].name));
            if (distance < best_distance) {
                best_distance = distance;
                best = table->rows[k].name;
            }
        }
    }
    return best;
}
