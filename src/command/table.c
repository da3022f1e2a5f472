/*
 * The rows, and the look-up of a command by name.
 *
 * A name is at most 16 bytes: it is taken as two 64-bit words, in lower case, and the words are
 * compared instead of the bytes. Their hash picks a slot, and names that meet there stand in the
 * next free ones; the table is kept at most half full, so a look-up is hardly ever more than a
 * slot. Before that, the names that came last are tried, as they were spelt: a client has few.
 * Subcommands are few and off the hot path: they are searched in order.
 */
#include "table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "categories.h"
#include "tarn/base/compiler.h"
#include "tarn/base/num.h"

#define COMMAND(key, ...)                         \
    [COMMAND_ID_##key] = {.name = #key,           \
                          .full_name = #key,      \
                          .handler = cmd_##key,   \
                          .id = COMMAND_ID_##key, \
                          __VA_ARGS__},
#define CONTAINER(key, handler_or_null, ...)                                             \
    [COMMAND_ID_##key] = {.name = #key,                                                  \
                          .full_name = #key,                                             \
                          .handler = handler_or_null,                                    \
                          .id = COMMAND_ID_##key,                                        \
                          .subcommands = &command_rows[COMMAND_ID_##key + 1],            \
                          .subcommands_count = COMMAND_END_##key - COMMAND_ID_##key - 1, \
                          __VA_ARGS__},
#define SUBCOMMAND(container, key, word, ...)                                            \
    [COMMAND_ID_##container##_##key] = {.name = word,                                    \
                                        .full_name = #container "|" word,                \
                                        .handler = cmd_##container##_##key,              \
                                        .id = COMMAND_ID_##container##_##key,            \
                                        .parent = &command_rows[COMMAND_ID_##container], \
                                        __VA_ARGS__},
#define CONTAINER_END(name)
const struct command command_rows[COMMAND_ROWS] = {
#include "commands.def"
};
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
#undef CONTAINER_END

/* ASCII capitals in eight bytes at once become small letters; all other bytes stay. */
static uint64_t lower_bytes(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t low7 = w & (0x7f * ones);
    const uint64_t above_z = low7 + (0x7f - 'Z') * ones;
    const uint64_t from_a = low7 + (0x80 - 'A') * ones;
    const uint64_t is_capital = (from_a ^ above_z) & ~w & (0x80 * ones);
    return w | is_capital >> 2;
}

/* The words of a name of 1..COMMAND_NAME_MAX bytes; with its length they are the name. */
static void name_words(struct strview name, uint64_t *low, uint64_t *high)
{
    const size_t n = size_min(name.len, 8);
    *low = lower_bytes(command_name_word(name.data, n));
    *high = lower_bytes(command_name_word(name.data + name.len - n, n));
}

static size_t slot_of(uint64_t low, uint64_t high)
{
    return (size_t)(((low ^ high * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd1b54a32d192ed03)) >>
                    (64 - COMMAND_SLOTS_LOG2));
}

static_assert(2 * COMMAND_ROWS <= 1 << COMMAND_SLOTS_LOG2, "the table is to stay half empty");

static size_t next_slot(size_t i)
{
    return (i + 1) % ((size_t)1 << COMMAND_SLOTS_LOG2);
}

void command_table_init(struct command_table *t)
{
    command_table_reset_stats(t);
    for (size_t row = 0; row < COMMAND_ROWS; row++) {
        const struct command *c = &command_rows[row];
        if (c->parent != NULL) {
            continue;
        }
        assert(strlen(c->name) <= COMMAND_NAME_MAX);
        uint64_t low, high;
        name_words(strview_str(c->name), &low, &high);
        size_t i = slot_of(low, high);
        while (t->slots[i].command != NULL) {
            i = next_slot(i);
        }
        t->slots[i] = (struct command_slot){
            .low = low, .high = high, .len = strlen(c->name), .command = c};
    }
}

void command_table_reset_stats(struct command_table *t)
{
    for (size_t row = 0; row < COMMAND_ROWS; row++) {
        free(t->stats[row].timing);
        t->stats[row] = (struct command_stat){.calls = 0};
    }
    t->timings_bytes = 0;
}

const struct command *command_table_find(const struct command_table *t, struct strview name)
{
    if (name.len == 0 || name.len > COMMAND_NAME_MAX) {
        return NULL;
    }
    uint64_t low, high;
    name_words(name, &low, &high);
    for (size_t i = slot_of(low, high); t->slots[i].command != NULL; i = next_slot(i)) {
        const struct command_slot *slot = &t->slots[i];
        if (slot->low == low && slot->high == high && slot->len == name.len) {
            return slot->command;
        }
    }
    return NULL;
}

const struct command *command_find_subcommand(const struct command *container, struct strview name)
{
    for (int i = 0; i < container->subcommands_count; i++) {
        if (strview_eq_nocase(name, container->subcommands[i].name)) {
            return &container->subcommands[i];
        }
    }
    return NULL;
}

const struct command *command_table_resolve(struct command_table *t, const struct strview *argv,
                                            int argc)
{
    const struct strview name = argv[0];
    const struct command *c = command_table_find(t, name);
    if (c != NULL && command_is_container(c)) {
        return argc > 1 ? command_find_subcommand(c, argv[1]) : c;
    }
    if (c != NULL && name.len <= sizeof(uint64_t)) {
        *command_recent_at(t, name) = (struct command_recent){
            .word = command_name_word(name.data, name.len), .len = name.len, .command = c};
    }
    return c;
}

size_t command_count(void)
{
    return COMMAND_ROWS;
}

const char *command_name(size_t i)
{
    assert(i < COMMAND_ROWS);
    return command_rows[i].full_name;
}

int command_last_key(const struct command *c, const struct strview *argv, int argc)
{
    if (c->keys.first == 0 || c->keys.first >= argc) {
        return 0;
    }
    if (c->keys.count_at == 0) {
        return c->keys.last < 0 ? argc + c->keys.last : c->keys.last;
    }
    int64_t count;
    const int64_t room = (argc - c->keys.first + c->keys.step - 1) / c->keys.step;
    if (!num_parse_i64(argv[c->keys.count_at], &count) || count < 1 || count > room) {
        return 0;
    }
    return c->keys.first + (int)(count - 1) * c->keys.step;
}
