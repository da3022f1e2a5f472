/*
 * Categories follow from the flags and the group of a row, as Redis derives them; where Redis sees
 * a command otherwise than by its group, the row says so.
 */
#include "categories.h"

#include <assert.h>
#include <string.h>

static const char *const names[CATEGORIES_COUNT] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
};

static const struct {
    const char *group;
    unsigned category;
} groups[] = {
    {"generic", CATEGORY_KEYSPACE},
    {"string", CATEGORY_STRING},
    {"bitmap", CATEGORY_BITMAP},
    {"hash", CATEGORY_HASH},
    {"list", CATEGORY_LIST},
    {"set", CATEGORY_SET},
    {"sorted-set", CATEGORY_SORTEDSET},
    {"stream", CATEGORY_STREAM},
    {"geo", CATEGORY_GEO},
    {"hyperloglog", CATEGORY_HYPERLOGLOG},
    {"connection", CATEGORY_CONNECTION},
    {"transactions", CATEGORY_TRANSACTION},
    {"scripting", CATEGORY_SCRIPTING},
};

static const struct {
    unsigned flag, categories;
} flags[] = {
    {CMD_WRITE, CATEGORY_WRITE},
    {CMD_READONLY, CATEGORY_READ},
    {CMD_ADMIN, CATEGORY_ADMIN | CATEGORY_DANGEROUS},
    {CMD_PUBSUB, CATEGORY_PUBSUB},
    {CMD_BLOCKING, CATEGORY_BLOCKING},
};

/* Only to be asked for its subcommands. */
static bool is_mere_container(const struct command *c)
{
    return c->subcommands_count > 0 && c->handler == NULL;
}

unsigned categories_of(const struct command *c)
{
    unsigned bits = c->categories | ((c->flags & CMD_FAST) != 0 ? CATEGORY_FAST : CATEGORY_SLOW);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        bits |= (c->flags & flags[i].flag) != 0 ? flags[i].categories : 0;
    }
    if (c->categories != 0 || is_mere_container(c)) {
        return bits;
    }
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        bits |= strcmp(c->group, groups[i].group) == 0 ? groups[i].category : 0;
    }
    return bits;
}

const char *category_name(unsigned i)
{
    assert(i < CATEGORIES_COUNT);
    return names[i];
}

unsigned category_by_name(struct strview name)
{
    for (unsigned i = 0; i < CATEGORIES_COUNT; i++) {
        if (strview_eq_nocase(name, names[i])) {
            return 1U << i;
        }
    }
    return 0;
}
