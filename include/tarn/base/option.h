/*
 * Typed options as tables. A module declares one `static const struct option[]` over its own
 * options struct; that row is the default, the parser, the range, CONFIG GET/SET, --help and the
 * documentation of the option. The set binds tables to the structs of this process and is all that
 * CONFIG needs.
 *
 *     struct net_options { int64_t maxclients; ... };
 *     static const struct option net_option_rows[] = {
 *         {.name = "maxclients", .type = OPTION_INT, .offset = offsetof(struct net_options,
 * maxclients), .def = "10000", .min = 1, .max = 1 << 20, .help = "connections accepted at the same
 * time"},
 *     };
 *
 * Field types: BOOL bool; INT, BYTES, MEMORY and SHARE int64_t; ENUM int (index into names); STRING
 * char * (owned by the set, never NULL); STRINGS char * (words separated by one space, owned, never
 * NULL); PASSWORD struct option_password, which holds the digest of the text only.
 */
#ifndef TARN_BASE_OPTION_H
#define TARN_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/sha256.h"
#include "tarn/base/strview.h"

enum option_type {
    OPTION_BOOL,   /* yes | no */
    OPTION_INT,    /* decimal, min..max */
    OPTION_BYTES,  /* 100mb; min..max; CONFIG GET shows plain bytes */
    OPTION_MEMORY, /* like BYTES, also "70%" of the cgroup's or the machine's memory */
    OPTION_SHARE,  /* like BYTES, also "5%" of something the owner knows: kept as -5 */
    OPTION_ENUM,
    OPTION_STRING,
    OPTION_STRINGS,
    OPTION_PASSWORD, /* clear text, or "sha256:" and 64 hexadecimal digits; never shown */
};

struct option_password {
    bool is_set; /* an empty text is no password */
    unsigned char sha256[SHA256_BYTES];
};

enum option_flag {
    OPTION_FIXED = 1 << 0,  /* read at start, refused by CONFIG SET */
    OPTION_SECRET = 1 << 1, /* never shown */
};

struct option {
    const char *name;
    const char *help;         /* one line */
    const char *def;          /* default, as a user would write it */
    const char *const *names; /* ENUM: NULL-terminated */
    size_t offset;
    int64_t min, max;
    enum option_type type;
    unsigned flags; /* enum option_flag */
};

struct option_table {
    const char *title; /* heading in --help and docs */
    const struct option *rows;
    size_t count;
};

/* Called after a value changed at run time. Non-zero refuses: the old value is put back, and
 * functions that had already agreed to other changes of the same call are called again with theirs
 * put back. */
typedef int (*option_apply_fn)(void *ctx, const struct option *option, struct errtext *err);

#define OPTION_TABLES_MAX 32
#define OPTION_TEXT_MAX   8192 /* longest value, in bytes */

struct option_set; /* opaque */

int option_set_create(struct option_set **out) WARN_UNUSED;
void option_set_destroy(struct option_set *set);

/* Binds a table to `values` (borrowed for the life of the set) and writes the defaults there. 0 or
 * -ENOMEM, with nothing bound. A default that is no value of its option is a programmer error. */
int option_set_add(struct option_set *set, const struct option_table *table, void *values,
                   option_apply_fn apply, void *ctx) WARN_UNUSED;

enum option_result {
    OPTION_OK = 0,
    OPTION_UNKNOWN = 1, /* no such name */
    OPTION_BAD = 2,     /* not a value of this option, or out of range */
    OPTION_IS_FIXED = 3,
    OPTION_REFUSED = 4, /* the apply function said no */
};

/* Start-up: parses and stores, calls no apply function. Positive enum option_result or -errno. */
int option_set_load(struct option_set *set, struct strview name, struct strview value,
                    struct errtext *err) WARN_UNUSED;

/* CONFIG SET of several names at once: all or nothing. On failure *failed_at is the index of the
 * change that could not be made and `err` says why, in Redis's words. */
struct option_change {
    struct strview name, value;
};
int option_set_change(struct option_set *set, const struct option_change *changes, size_t count,
                      size_t *failed_at, struct errtext *err) WARN_UNUSED;

/* The value as CONFIG GET shows it is appended to `out`, nothing for a secret. False when there is
 * no such option. */
bool option_set_get(const struct option_set *set, struct strview name, struct buf *out);

/* Every option in order of the tables; a non-zero return of `fn` ends the walk and is returned. The
 * value (empty for a secret) is valid during the call. -ENOMEM when it could not be printed. */
typedef int (*option_visit_fn)(void *ctx, const struct option_table *table,
                               const struct option *option, struct strview value);
int option_set_walk(const struct option_set *set, option_visit_fn fn, void *ctx);

/* Every option of `set` whose value is another than in `other`, a set over the same tables. The
 * value is as a configuration file would hold it, secrets included; otherwise as above. */
int option_set_compare(const struct option_set *set, const struct option_set *other,
                       option_visit_fn fn, void *ctx);

/* The known name nearest to a misspelt one, or NULL when none is near. */
const char *option_set_suggest(const struct option_set *set, struct strview name);

/* Memory that a percentage refers to: the smallest limit of the cgroups of this process (v1 and
 * v2), never more than the machine has. Reads files: for start-up and CONFIG SET. */
uint64_t option_memory_total(void);

#endif
