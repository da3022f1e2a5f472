/*
 * The option tables of sources and maps: one row each, and nothing else knows a default or a range.
 */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "tarn/source/source.h"

#define SECOND   INT64_C(1000)
#define YEAR     (365 * 24 * 3600 * SECOND)
#define KILOBYTE INT64_C(1024)
#define MEGABYTE (1024 * KILOBYTE)

#define FIELD(f) .offset = offsetof(struct source_options, f)

static_assert(DRIVER_NAME_MAX == SETTING_NAME_MAX, "a NAME");
static_assert(DRIVER_PATH_MAX == SETTING_PATH_MAX, "a PATH");
static_assert(DRIVER_LIST_MAX == SETTING_LIST_MAX, "a LIST");

static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const read_from_names[] = {"primary", "replica", "nearest", NULL};
static const char *const on_gap_names[] = {"expire", "soft", "keep", NULL};
static const char *const feed_names[] = {"none", "notify <channel>", "changelog <table>",
                                         "data-version", NULL};

#define PART(f) .offset = offsetof(struct breaker_options, f)
#define OPEN(f) \
    .offset = offsetof(struct breaker_options, f) - offsetof(struct breaker_options, open_min_ms)

static const struct setting breaker_parts[] = {
    {PART(in_row), .type = SETTING_COUNT, .min = 1, .max = 1000000},
    {PART(share), .type = SETTING_PERCENT, .min = 1, .max = SETTING_PERCENT_UNITS},
    {PART(window_ms), .type = SETTING_DURATION, .min = 100, .max = 3600 * SECOND},
};
static const struct setting open_parts[] = {
    {OPEN(open_min_ms), .type = SETTING_DURATION, .min = 1, .max = 24 * 3600 * SECOND},
    {OPEN(open_max_ms), .type = SETTING_DURATION, .min = 1, .max = 24 * 3600 * SECOND},
};

#undef PART
#undef OPEN

static const struct setting source_rows[] = {
    {.name = "pool",
     FIELD(pool),
     .type = SETTING_COUNT,
     .min = 1,
     .max = 128,
     .is_fixed = true,
     .help = "connections to the database (sqlite: threads, 2 by default)"},
    {.name = "load-timeout",
     FIELD(load_timeout_ms),
     .type = SETTING_DURATION,
     .def = "1s",
     .min = 1,
     .max = 3600 * SECOND,
     .help = "for maps that do not set their own"},
    {.name = "max-queue",
     FIELD(max_queue),
     .type = SETTING_COUNT,
     .def = "1024",
     .min = 0,
     .max = 1 << 20,
     .help = "loads waiting for a connection; more is SOURCEBUSY"},
    {.name = "max-waiters",
     FIELD(max_waiters),
     .type = SETTING_COUNT,
     .def = "10000",
     .min = 1,
     .max = 1 << 24,
     .help = "clients waiting on this source"},
    {.name = "max-waiters-per-key",
     FIELD(max_waiters_per_key),
     .type = SETTING_COUNT,
     .def = "1000",
     .min = 1,
     .max = 1 << 24,
     .help = "clients waiting on one key"},
    {.name = "inflight-memory",
     FIELD(inflight_memory),
     .type = SETTING_BYTES,
     .def = "64mb",
     .min = 64 * KILOBYTE,
     .max = INT64_C(1) << 40,
     .help = "bytes of loads under way and results on their way"},
    {.name = "max-client-loads",
     FIELD(max_client_loads),
     .type = SETTING_COUNT,
     .def = "64",
     .min = 1,
     .max = 1 << 20,
     .help = "loads one client may have under way"},
    {.name = "connect-timeout",
     FIELD(driver.connect_timeout_ms),
     .type = SETTING_DURATION,
     .def = "1s",
     .min = 1,
     .max = 3600 * SECOND,
     .help = "how long connecting, a check at start and a ping may take"},
    {.name = "idle-timeout",
     FIELD(driver.idle_timeout_ms),
     .type = SETTING_DURATION,
     .def = "5m",
     .min = 0,
     .max = YEAR,
     .needs = DRIVER_CAN_LOG_IN,
     .help = "a connection unused so long is closed; 0: never"},
    {.name = "max-lifetime",
     FIELD(driver.max_lifetime_ms),
     .type = SETTING_DURATION,
     .def = "30m",
     .min = 0,
     .max = YEAR,
     .needs = DRIVER_CAN_LOG_IN,
     .help = "an older connection (give or take 20%) is replaced; 0: never"},
    {.name = "password-file",
     FIELD(driver.password_file),
     .type = SETTING_PATH,
     .needs = DRIVER_CAN_LOG_IN,
     .help = "file with the password, read at each connect"},
    {.name = "user-file",
     FIELD(driver.user_file),
     .type = SETTING_PATH,
     .needs = DRIVER_CAN_LOG_IN,
     .help = "file with the user's name, read at each connect"},
    {.name = "pipeline",
     FIELD(driver.pipeline),
     .type = SETTING_COUNT,
     .def = "16",
     .min = 1,
     .max = 256,
     .is_fixed = true,
     .needs = DRIVER_CAN_PIPELINE,
     .help = "loads on one connection, when none is idle"},
    {.name = "prepare",
     FIELD(driver.prepare),
     .type = SETTING_CHOICE,
     .names = no_yes,
     .def = "yes",
     .needs = DRIVER_CAN_PREPARE,
     .help = "prepared statements; no behind a transaction pooler that does not know them"},
    {.name = "replica",
     FIELD(driver.replicas),
     .type = SETTING_LIST,
     .is_fixed = true,
     .needs = DRIVER_CAN_USE_REPLICAS,
     .help = "dsn of a replica; may be given several times"},
    {.name = "read-from",
     FIELD(driver.read_from),
     .type = SETTING_CHOICE,
     .names = read_from_names,
     .def = "primary",
     .needs = DRIVER_CAN_USE_REPLICAS,
     .help = "where loads go; without a fit replica to the primary"},
    {.name = "max-lag",
     FIELD(driver.max_lag_ms),
     .type = SETTING_DURATION,
     .def = "2s",
     .min = 1,
     .max = 3600 * SECOND,
     .needs = DRIVER_CAN_USE_REPLICAS,
     .help = "a replica further behind is not fit"},
    {.name = "invalidate",
     FIELD(driver.feed),
     .type = SETTING_CHOICE,
     .names = feed_names,
     .word_offset = offsetof(struct source_options, driver.feed_name),
     .def = "none",
     .is_fixed = true,
     .help = "how the database tells what changed"},
    {.name = "slow-load",
     FIELD(slow_load_ms),
     .type = SETTING_DURATION,
     .def = "10ms",
     .min = 0,
     .max = 3600 * SECOND,
     .help = "loads that take so long are in SOURCE SLOWLOG"},
    {.name = "gap-ttl",
     FIELD(gap_ttl_ms),
     .type = SETTING_DURATION,
     .def = "10s",
     .min = 0,
     .max = YEAR,
     .help = "while its feed is down, values live so long and not longer"},
    {.name = "on-gap",
     FIELD(on_gap),
     .type = SETTING_CHOICE,
     .names = on_gap_names,
     .def = "expire",
     .help = "what becomes of values when the feed is up again"},
    {.name = "breaker",
     FIELD(breaker),
     .type = SETTING_TUPLE,
     .parts = breaker_parts,
     .parts_count = 3,
     .separator = " ",
     .def = "5 50% 10s",
     .help = "loads are refused after so many failures in a row, or at this share of at least 20 "
             "loads within this time"},
    {.name = "breaker-open",
     FIELD(breaker.open_min_ms),
     .type = SETTING_TUPLE,
     .parts = open_parts,
     .parts_count = 2,
     .separator = "..",
     .def = "1s..30s",
     .help = "for so long, doubling while the source does not answer; then one probe"},
    {.name = "background-share",
     FIELD(background_share),
     .type = SETTING_PERCENT,
     .def = "50%",
     .min = 0,
     .max = SETTING_PERCENT_UNITS,
     .help = "part of the connections that loads nobody waits for may use, one at least"},
};

const struct setting_table source_settings = {source_rows,
                                              sizeof(source_rows) / sizeof(source_rows[0])};

#undef FIELD
#define FIELD(f) .offset = offsetof(struct map_options, f)

static const char *const as_names[] = {"string", "json", "raw", "hash", "jsonrows", NULL};
static const char *const null_names[] = {"nil", "empty", "error", NULL};
static const char *const rows_names[] = {"one", "first", NULL};
static const char *const bytes_names[] = {"base64", "hex", NULL};
static const char *const utf8_names[] = {"error", "replace", NULL};
static const char *const priority_names[] = {"normal", "low", NULL};
static const char *const writes_names[] = {"reject", "local", "through", NULL};

static const struct setting map_rows[] = {
    {.name = "as",
     FIELD(as),
     .type = SETTING_CHOICE,
     .names = as_names,
     .def = "string",
     .is_fixed = true,
     .help =
         "what the row becomes: one column, a JSON object, JSON as it is, a hash, or all rows as "
         "a JSON array"},
    {.name = "ttl",
     FIELD(ttl_ms),
     .type = SETTING_DURATION,
     .def = "5m",
     .min = 0,
     .max = 10 * YEAR,
     .help = "life of a value, from the moment its query was sent; 0: not stored"},
    {.name = "jitter",
     FIELD(jitter),
     .type = SETTING_PERCENT,
     .def = "10%",
     .min = 0,
     .max = SETTING_PERCENT_UNITS,
     .help = "shortens each life by a random part up to this"},
    {.name = "negative-ttl",
     FIELD(negative_ttl_ms),
     .type = SETTING_DURATION,
     .def = "5s",
     .min = 0,
     .max = 10 * YEAR,
     .help = "how long a missing row is remembered; 0: not"},
    {.name = "stale-ttl",
     FIELD(stale_ttl_ms),
     .type = SETTING_DURATION,
     .def = "0",
     .min = 0,
     .max = 10 * YEAR,
     .help = "so long after its end a value is answered at once, while a new one is loaded"},
    {.name = "stale-error-ttl",
     FIELD(stale_error_ttl_ms),
     .type = SETTING_DURATION,
     .def = "5m",
     .min = 0,
     .max = 10 * YEAR,
     .help = "so long after its end a value is answered when the load fails"},
    {.name = "refresh-ahead",
     FIELD(refresh_ahead),
     .type = SETTING_PERCENT,
     .def = "80%",
     .min = 0,
     .max = SETTING_PERCENT_UNITS,
     .help = "a hit on a value older than this part of its life reloads it in the background; 0: "
             "not"},
    {.name = "soft-timeout",
     FIELD(soft_timeout_ms),
     .type = SETTING_DURATION,
     .def = "100ms",
     .min = 0,
     .max = 3600 * SECOND,
     .help = "with an old value at hand, wait so long for the new one; 0: as long as for any"},
    {.name = "min-reload-interval",
     FIELD(min_reload_ms),
     .type = SETTING_DURATION,
     .def = "0",
     .min = 0,
     .max = 3600 * SECOND,
     .help = "change notices reload a key at most this often; a value may be old by as much"},
    {.name = "admit",
     FIELD(admit),
     .type = SETTING_COUNT,
     .def = "1",
     .min = 1,
     .max = 255,
     .help = "store a key at its n-th miss within a minute"},
    {.name = "negative-share",
     FIELD(negative_share),
     .type = SETTING_PERCENT,
     .def = "5%",
     .min = 0,
     .max = SETTING_PERCENT_UNITS,
     .help = "of maxmemory, for all missing rows together; more are not remembered"},
    {.name = "priority",
     FIELD(priority),
     .type = SETTING_CHOICE,
     .names = priority_names,
     .def = "normal",
     .help =
         "low: evicted first, and loaded in the background only while nobody waits for anything "
         "from the source"},
    {.name = "load-timeout",
     FIELD(load_timeout_ms),
     .type = SETTING_DURATION,
     .min = 1,
     .max = 3600 * SECOND,
     .help = "longest wait of a client, from the command's arrival"},
    {.name = "error-hold",
     FIELD(error_hold_ms),
     .type = SETTING_DURATION,
     .def = "100ms",
     .min = 0,
     .max = 60 * SECOND,
     .help = "after a failed load the key fails at once so long"},
    {.name = "max-value",
     FIELD(max_value),
     .type = SETTING_BYTES,
     .def = "1mb",
     .min = 0,
     .max = 512 * MEGABYTE,
     .help = "a larger value is answered but not stored"},
    {.name = "max-row",
     FIELD(max_row),
     .type = SETTING_BYTES,
     .def = "16mb",
     .min = 64,
     .max = 512 * MEGABYTE,
     .help = "a larger row is SOURCEBIG"},
    {.name = "max-param",
     FIELD(max_param),
     .type = SETTING_BYTES,
     .def = "256",
     .min = 1,
     .max = 64 * KILOBYTE,
     .help = "bytes of one parameter in a key; longer does not match"},
    {.name = "exists-loads",
     FIELD(exists_loads),
     .type = SETTING_CHOICE,
     .names = no_yes,
     .def = "yes",
     .help = "EXISTS asks the database"},
    {.name = "writes",
     FIELD(writes),
     .type = SETTING_CHOICE,
     .names = writes_names,
     .def = "reject",
     .is_fixed = true,
     .help = "what SET and the like do on keys of this map: refused, in the cache only, or in the "
             "database"},
    {.name = "on-set",
     FIELD(on_set),
     .type = SETTING_TEXT,
     .is_fixed = true,
     .help = "statement of SET, with $value"},
    {.name = "on-hset",
     FIELD(on_hset),
     .type = SETTING_TEXT,
     .is_fixed = true,
     .help = "statement of HSET, with a parameter for each field; those not given are NULL"},
    {.name = "on-del",
     FIELD(on_del),
     .type = SETTING_TEXT,
     .is_fixed = true,
     .help = "statement of DEL"},
    {.name = "null",
     FIELD(null),
     .type = SETTING_CHOICE,
     .names = null_names,
     .def = "nil",
     .help = "SQL NULL as string or raw: absent, empty, or SOURCEERR"},
    {.name = "rows",
     FIELD(rows),
     .type = SETTING_CHOICE,
     .names = rows_names,
     .def = "one",
     .help = "more than one row: SOURCEERR, or take the first"},
    {.name = "bytes",
     FIELD(bytes),
     .type = SETTING_CHOICE,
     .names = bytes_names,
     .def = "base64",
     .help = "how JSON shows binary columns"},
    {.name = "invalid-utf8",
     FIELD(invalid_utf8),
     .type = SETTING_CHOICE,
     .names = utf8_names,
     .def = "error",
     .help = "text in JSON that is not UTF-8: SOURCEERR, or U+FFFD"},
    {.name = "ttl-column",
     FIELD(ttl_column),
     .type = SETTING_NAME,
     .help = "column with the row's own ttl in seconds, not part of the value"},
    {.name = "expires-at-column",
     FIELD(expires_column),
     .type = SETTING_NAME,
     .help = "column with the moment the row's value ends, not part of the value: Unix time, or a "
             "timestamp in UTC"},
    {.name = "max-rows",
     FIELD(max_rows),
     .type = SETTING_COUNT,
     .def = "1000",
     .min = 1,
     .max = 100000,
     .help = "of as jsonrows; more is SOURCEERR, or cut with rows first"},
    {.name = "canon",
     FIELD(canon),
     .type = SETTING_NAME,
     .help = "column that has to be the parameter byte for byte; else the value is not stored"},
    {.name = "bulk",
     FIELD(bulk),
     .type = SETTING_NAME,
     .is_fixed = true,
     .help = "column of the bulk-query that tells whose row it is"},
    {.name = "bulk-query",
     FIELD(bulk_query),
     .type = SETTING_TEXT,
     .is_fixed = true,
     .help = "loads many keys at once; its parameter is $name[]"},
    {.name = "tag",
     FIELD(tags),
     .type = SETTING_LIST,
     .is_fixed = true,
     .help = "name made of columns, org:{org_id}, by which values can be invalidated; may be given "
             "several times"},
    {.name = "table",
     FIELD(table),
     .type = SETTING_NAME,
     .help = "table of the rows, its columns named like the pattern's parameters; for SOURCE DDL"},
};

const struct setting_table map_settings = {map_rows, sizeof(map_rows) / sizeof(map_rows[0])};

int source_options_check(const struct source_options *o, const struct source_driver *driver,
                         struct errtext *err)
{
    static const unsigned feed_needs[] = {
        [DRIVER_FEED_NONE] = 0,
        [DRIVER_FEED_NOTIFY] = DRIVER_CAN_NOTIFY,
        [DRIVER_FEED_CHANGELOG] = DRIVER_CAN_CHANGELOG,
        [DRIVER_FEED_VERSION] = DRIVER_CAN_VERSION,
    };
    for (size_t i = 0; i < source_settings.count; i++) {
        const struct setting *row = &source_settings.rows[i];
        if ((row->needs & ~driver->abilities) != 0 && !setting_is_default(row, o)) {
            errtext_set(err, "option '%s' is not for driver '%s'", row->name, driver->name);
            return -EINVAL;
        }
    }
    if ((feed_needs[o->driver.feed] & ~driver->abilities) != 0) {
        errtext_set(err, "driver '%s' has no feed '%s'", driver->name, feed_names[o->driver.feed]);
        return -EINVAL;
    }
    return 0;
}

static void walk_table(const struct setting_table *t, const char *title, sources_option_fn fn,
                       void *ctx)
{
    for (size_t i = 0; i < t->count; i++) {
        fn(ctx, title, t->rows[i].name, t->rows[i].def, t->rows[i].help);
    }
}

void sources_walk_options(sources_option_fn fn, void *ctx)
{
    walk_table(&source_settings, "Options of a source", fn, ctx);
    walk_table(&map_settings, "Options of a map", fn, ctx);
}
