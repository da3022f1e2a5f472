/* Options: reading, printing, changes that are made together or not at all. */
#include "tarn/base/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/num.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"

enum mode { MODE_FAST, MODE_SAFE };

struct values {
    bool enabled;
    int64_t count, block_bytes, memory_bytes, wide;
    int mode;
    char *name, *words, *password;
    int64_t port;
};

static const char *const mode_names[] = {"fast", "safe", NULL};

static const struct option rows[] = {
    {.name = "enabled",
     .type = OPTION_BOOL,
     .offset = offsetof(struct values, enabled),
     .def = "yes"},
    {.name = "count",
     .type = OPTION_INT,
     .offset = offsetof(struct values, count),
     .def = "10",
     .min = -5,
     .max = 100},
    {.name = "block",
     .type = OPTION_BYTES,
     .offset = offsetof(struct values, block_bytes),
     .def = "64kb",
     .min = 1024,
     .max = 1 << 20},
    {.name = "memory",
     .type = OPTION_MEMORY,
     .offset = offsetof(struct values, memory_bytes),
     .def = "0",
     .min = 0,
     .max = INT64_MAX},
    {.name = "mode",
     .type = OPTION_ENUM,
     .offset = offsetof(struct values, mode),
     .def = "safe",
     .names = mode_names},
    {.name = "name", .type = OPTION_STRING, .offset = offsetof(struct values, name), .def = ""},
    {.name = "words",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct values, words),
     .def = " a  b "},
    {.name = "password",
     .type = OPTION_STRING,
     .offset = offsetof(struct values, password),
     .def = "",
     .flags = OPTION_SECRET},
};
static const struct option fixed_rows[] = {
    {.name = "port",
     .type = OPTION_INT,
     .offset = offsetof(struct values, port),
     .def = "6379",
     .min = 0,
     .max = 65535,
     .flags = OPTION_FIXED},
    {.name = "wide",
     .type = OPTION_INT,
     .offset = offsetof(struct values, wide),
     .def = "0",
     .min = INT64_MIN,
     .max = INT64_MAX},
};
static const struct option_table table = {
    .title = "things", .rows = rows, .count = ARRAY_LEN(rows)};
static const struct option_table fixed_table = {
    .title = "fixed", .rows = fixed_rows, .count = ARRAY_LEN(fixed_rows)};

struct fixture {
    struct option_set *set;
    struct values values;
    struct errtext err;
    size_t failed_at;
    char applied[256];          /* names, as they were applied */
    const char *refused;        /* option that the apply function refuses */
    int64_t count_when_applied; /* what the apply function saw last */
};

static int apply(void *ctx, const struct option *option, struct errtext *err)
{
    struct fixture *f = ctx;
    strncat(f->applied, option->name, sizeof(f->applied) - strlen(f->applied) - 2);
    strncat(f->applied, ";", 2);
    f->count_when_applied = f->values.count;
    if (f->refused != NULL && strcmp(option->name, f->refused) == 0) {
        errtext_set(err, "not now");
        return -1;
    }
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    memset(&f->values, 0xa5, sizeof(f->values)); /* the set must not read what was there */
    assert_int_equal(option_set_create(&f->set), 0);
    assert_int_equal(option_set_add(f->set, &table, &f->values, apply, f), 0);
    assert_int_equal(option_set_add(f->set, &fixed_table, &f->values, NULL, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    option_set_destroy(f->set);
    assert_null(f->values.name);
    assert_null(f->values.words);
    free(f);
    return 0;
}

static int change(struct fixture *f, const char *name, const char *value)
{
    struct option_change c = {.name = strview_str(name), .value = strview_str(value)};
    f->failed_at = 99;
    return option_set_change(f->set, &c, 1, &f->failed_at, &f->err);
}

static int load(struct fixture *f, const char *name, const char *value)
{
    return option_set_load(f->set, strview_str(name), strview_str(value), &f->err);
}

static void assert_shown(struct fixture *f, const char *name, const char *expected)
{
    struct buf text;
    buf_init(&text);
    assert_true(option_set_get(f->set, strview_str(name), &text));
    assert_true(buf_append_char(&text, '\0'));
    assert_string_equal(buf_view(&text).data, expected);
    buf_fini(&text);
}

static void option__defaults_are_written_when_bound(void **state)
{
    struct fixture *f = *state;
    assert_true(f->values.enabled);
    assert_int_equal(f->values.count, 10);
    assert_int_equal(f->values.block_bytes, 65536);
    assert_int_equal(f->values.memory_bytes, 0);
    assert_int_equal(f->values.mode, MODE_SAFE);
    assert_string_equal(f->values.name, "");
    assert_string_equal(f->values.words, "a b");
    assert_int_equal(f->values.port, 6379);
}

static void option__load_stores_every_type_without_applying(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "enabled", "NO"), OPTION_OK);
    assert_int_equal(load(f, "COUNT", "-5"), OPTION_OK);
    assert_int_equal(load(f, "block", "1mb"), OPTION_OK);
    assert_int_equal(load(f, "memory", "100mb"), OPTION_OK);
    assert_int_equal(load(f, "mode", "Fast"), OPTION_OK);
    assert_int_equal(load(f, "name", " kept as it is "), OPTION_OK);
    assert_int_equal(load(f, "words", "\tone two\t\tthree "), OPTION_OK);
    assert_int_equal(load(f, "port", "0"), OPTION_OK); /* fixed, but this is the start */
    assert_false(f->values.enabled);
    assert_int_equal(f->values.count, -5);
    assert_int_equal(f->values.block_bytes, 1 << 20);
    assert_int_equal(f->values.memory_bytes, 104857600);
    assert_int_equal(f->values.mode, MODE_FAST);
    assert_string_equal(f->values.name, " kept as it is ");
    assert_string_equal(f->values.words, "one two three");
    assert_int_equal(f->values.port, 0);
    assert_string_equal(f->applied, "");
}

static void option__load_says_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "nosuch", "1"), OPTION_UNKNOWN);
    assert_int_equal(load(f, "", "1"), OPTION_UNKNOWN);
    assert_int_equal(load(f, "count", "101"), OPTION_BAD);
    assert_string_equal(f->err.text, "argument must be between -5 and 100 inclusive");
    assert_int_equal(f->values.count, 10);
}

static void option__bad_values_are_refused_in_redis_words(void **state)
{
    static const struct {
        const char *name, *value, *reason;
    } bad[] = {
        {"enabled", "maybe", "argument must be 'yes' or 'no'"},
        {"enabled", "", "argument must be 'yes' or 'no'"},
        {"count", "abc", "argument couldn't be parsed into an integer"},
        {"count", "", "argument couldn't be parsed into an integer"},
        {"count", "010", "argument couldn't be parsed into an integer"},
        {"count", "99999999999999999999", "argument couldn't be parsed into an integer"},
        {"count", "-6", "argument must be between -5 and 100 inclusive"},
        {"count", "101", "argument must be between -5 and 100 inclusive"},
        {"block", "12zb", "argument must be a memory value"},
        {"block", "10%", "argument must be a memory value"},
        {"block", "1023", "argument must be between 1024 and 1048576 inclusive"},
        {"block", "18446744073709551615", "argument must be between 1024 and 1048576 inclusive"},
        {"memory", "101%", "argument must be a memory value"},
        {"memory", "-1", "argument must be a memory value"},
        {"mode", "slow", "argument(s) must be one of the following: fast, safe"},
        {"mode", "", "argument(s) must be one of the following: fast, safe"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(change(f, bad[i].name, bad[i].value), OPTION_BAD);
        assert_string_equal(f->err.text, bad[i].reason);
        assert_int_equal(f->failed_at, 0);
    }
    assert_string_equal(f->applied, "");
    option__defaults_are_written_when_bound(state);
}

static void option__integers_reach_the_ends_of_their_type(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, "wide", "9223372036854775807"), OPTION_OK);
    assert_true(f->values.wide == INT64_MAX);
    assert_int_equal(change(f, "wide", "-9223372036854775808"), OPTION_OK);
    assert_true(f->values.wide == INT64_MIN);
    assert_shown(f, "wide", "-9223372036854775808");
    assert_int_equal(change(f, "wide", "9223372036854775808"), OPTION_BAD);
}

static void option__percent_is_of_the_memory_there_is(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, "memory", "50%"), OPTION_OK);
    uint64_t half = option_memory_total() / 2;
    uint64_t got = (uint64_t)f->values.memory_bytes;
    assert_true(got + 4096 >= half && got <= half + 4096);
    char digits[NUM_I64_CHARS + 1] = {0};
    num_format_u64(digits, got);
    assert_shown(f, "memory", digits);
}

static void option__share_is_kept_as_it_was_written(void **state)
{
    static const struct option share_rows[] = {
        {.name = "share", .type = OPTION_SHARE, .def = "0", .max = INT64_MAX}};
    static const struct option_table share_table = {.title = "t", .rows = share_rows, .count = 1};
    static const struct {
        const char *text, *shown; /* NULL: refused */
        int64_t value;
    } cases[] = {
        {"5%", "5%", -5},       {"100%", "100%", -100}, {"0%", "0", 0},   {"64kb", "65536", 65536},
        {"7", "7", 7},          {"101%", NULL, 0},      {"-5%", NULL, 0}, {"%", NULL, 0},
        {"1.5%", NULL, 0},      {"-5", NULL, 0},        {"", NULL, 0},    {"5%%", NULL, 0},
        {"5 % of it", NULL, 0},
    };
    (void)state;
    struct option_set *set;
    int64_t value = -1;
    struct errtext err;
    struct buf shown = {0};
    assert_int_equal(option_set_create(&set), 0);
    assert_int_equal(option_set_add(set, &share_table, &value, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        value = -33;
        int result = option_set_load(set, strview_str("share"), strview_str(cases[i].text), &err);
        assert_int_equal(result, cases[i].shown != NULL ? OPTION_OK : OPTION_BAD);
        assert_int_equal(value, cases[i].shown != NULL ? cases[i].value : -33);
        buf_clear(&shown);
        assert_true(option_set_get(set, strview_str("share"), &shown));
        assert_true(
            strview_eq(buf_view(&shown), strview_str(cases[i].shown ? cases[i].shown : "33%")));
    }
    buf_fini(&shown);
    option_set_destroy(set);
}

static void option__texts_have_limits(void **state)
{
    struct fixture *f = *state;
    static char text[OPTION_TEXT_MAX + 2];
    memset(text, 't', OPTION_TEXT_MAX);
    assert_int_equal(change(f, "name", text), OPTION_OK);
    assert_int_equal(strlen(f->values.name), OPTION_TEXT_MAX);
    text[OPTION_TEXT_MAX] = 't';
    assert_int_equal(change(f, "name", text), OPTION_BAD);
    struct option_change nul = {.name = strview_str("name"), .value = strview_of("a\0b", 3)};
    assert_int_equal(option_set_change(f->set, &nul, 1, &f->failed_at, &f->err), OPTION_BAD);
    struct option_change none = {.name = strview_str("name"), .value = strview_of(NULL, 0)};
    assert_int_equal(option_set_change(f->set, &none, 1, &f->failed_at, &f->err), OPTION_OK);
    assert_string_equal(f->values.name, "");
}

static void option__change_applies_what_is_new(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, "count", "11"), OPTION_OK);
    assert_int_equal(f->count_when_applied, 11);
    assert_int_equal(change(f, "count", "11"), OPTION_OK);
    assert_int_equal(change(f, "name", "x"), OPTION_OK);
    assert_int_equal(change(f, "name", "x"), OPTION_OK);
    assert_string_equal(f->applied, "count;name;");
}

static void option__fixed_and_unknown_are_told_apart(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, "port", "1"), OPTION_IS_FIXED);
    assert_string_equal(f->err.text, "can't set immutable config");
    assert_int_equal(f->values.port, 6379);
    assert_int_equal(change(f, "nosuch", "1"), OPTION_UNKNOWN);
}

static int change_three(struct fixture *f, const char *const pairs[6])
{
    struct option_change c[3];
    for (size_t i = 0; i < 3; i++) {
        c[i] = (struct option_change){.name = strview_str(pairs[2 * i]),
                                      .value = strview_str(pairs[2 * i + 1])};
    }
    return option_set_change(f->set, c, 3, &f->failed_at, &f->err);
}

static void option__several_changes_are_made_together(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change_three(f, (const char *[]){"name", "n", "count", "20", "mode", "fast"}),
                     OPTION_OK);
    assert_string_equal(f->values.name, "n");
    assert_int_equal(f->values.count, 20);
    assert_int_equal(f->values.mode, MODE_FAST);
    assert_string_equal(f->applied, "name;count;mode;");
    assert_int_equal(option_set_change(f->set, NULL, 0, &f->failed_at, &f->err), OPTION_OK);
}

static void option__one_bad_value_undoes_all(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change_three(f, (const char *[]){"name", "n", "words", "x y", "count", "x"}),
                     OPTION_BAD);
    assert_int_equal(f->failed_at, 2);
    assert_int_equal(change_three(f, (const char *[]){"name", "n", "nosuch", "1", "count", "20"}),
                     OPTION_UNKNOWN);
    assert_int_equal(f->failed_at, 1);
    assert_int_equal(change_three(f, (const char *[]){"count", "20", "port", "1", "name", "n"}),
                     OPTION_IS_FIXED);
    assert_int_equal(f->failed_at, 1);
    assert_int_equal(change_three(f, (const char *[]){"count", "20", "name", "n", "COUNT", "21"}),
                     OPTION_BAD);
    assert_string_equal(f->err.text, "duplicate parameter");
    assert_int_equal(f->failed_at, 2);
    /* The first name that is wrong, before any value. */
    assert_int_equal(change_three(f, (const char *[]){"count", "x", "nosuch", "1", "nosuch", "1"}),
                     OPTION_UNKNOWN);
    assert_int_equal(f->failed_at, 1);
    assert_int_equal(change_three(f, (const char *[]){"count", "x", "port", "1", "nosuch", "1"}),
                     OPTION_IS_FIXED);
    assert_int_equal(f->failed_at, 1);
    assert_string_equal(f->applied, "");
    option__defaults_are_written_when_bound(state);
}

static void option__refusal_undoes_all_and_applies_the_old(void **state)
{
    struct fixture *f = *state;
    f->refused = "words";
    assert_int_equal(change_three(f, (const char *[]){"count", "20", "words", "x y", "name", "n"}),
                     OPTION_REFUSED);
    assert_int_equal(f->failed_at, 1);
    assert_string_equal(f->err.text, "not now");
    assert_string_equal(f->applied, "count;words;count;");
    assert_int_equal(f->count_when_applied, 10);
    option__defaults_are_written_when_bound(state);
}

static void option__shows_values_as_users_write_them(void **state)
{
    struct fixture *f = *state;
    assert_shown(f, "enabled", "yes");
    assert_shown(f, "Count", "10");
    assert_shown(f, "block", "65536");
    assert_shown(f, "mode", "safe");
    assert_shown(f, "words", "a b");
    struct buf text;
    buf_init(&text);
    assert_false(option_set_get(f->set, strview_str("nosuch"), &text));
    assert_int_equal(buf_len(&text), 0);
    buf_fini(&text);
}

static void option__secrets_are_never_shown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, "password", "sesame"), OPTION_OK);
    assert_string_equal(f->values.password, "sesame");
    assert_shown(f, "password", "");
}

struct walk {
    char names[256];
    int calls, stop_at;
};

static int visit(void *ctx, const struct option_table *in, const struct option *option,
                 struct strview value)
{
    struct walk *w = ctx;
    strncat(w->names, option->name, sizeof(w->names) - strlen(w->names) - 2);
    strncat(w->names, ";", 2);
    assert_true(in == &table || in == &fixed_table);
    if (strcmp(option->name, "block") == 0) {
        assert_true(strview_eq(value, strview_str("65536")));
    }
    return ++w->calls == w->stop_at ? 7 : 0;
}

static void option__walk_sees_all_in_order_and_can_stop(void **state)
{
    struct fixture *f = *state;
    struct walk all = {0};
    assert_int_equal(option_set_walk(f->set, visit, &all), 0);
    assert_string_equal(all.names,
                        "enabled;count;block;memory;mode;name;words;password;port;wide;");
    struct walk some = {.stop_at = 3};
    assert_int_equal(option_set_walk(f->set, visit, &some), 7);
    assert_string_equal(some.names, "enabled;count;block;");
}

static void option__suggests_the_nearest_name(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(option_set_suggest(f->set, strview_str("enabeld")), "enabled");
    assert_string_equal(option_set_suggest(f->set, strview_str("pasword")), "password");
    assert_string_equal(option_set_suggest(f->set, strview_str("memry")), "memory");
    assert_null(option_set_suggest(f->set, strview_str("something-else")));
    assert_null(option_set_suggest(f->set, strview_str("")));
    static char longest[10000];
    memset(longest, 'x', sizeof(longest));
    assert_null(option_set_suggest(f->set, strview_of(longest, sizeof(longest))));
}

static void option__destroy_takes_null(void **state)
{
    option_set_destroy(NULL);
}

/* Every allocation of binding fails once; what was allocated before is given back (the sanitizers
 * look). */
static void option__binding_survives_failed_allocations(void **state)
{
    int result = -1;
    for (size_t good = 0; result != 0; good++) {
        struct option_set *set = NULL;
        struct values values;
        fault_alloc_arm(good, 1);
        result = option_set_create(&set);
        if (result == 0) {
            result = option_set_add(set, &table, &values, NULL, NULL);
        }
        assert_int_equal(fault_alloc_disarm(), result != 0);
        assert_true(result == 0 || result == -ENOMEM);
        option_set_destroy(set);
    }
}

static void option__changes_survive_failed_allocations(void **state)
{
    struct fixture *f = *state;
    const char *const pairs[6] = {"name", "n", "words", "x y", "count", "20"};
    for (size_t good = 0; good < 3; good++) {
        fault_alloc_arm(good, 1);
        assert_int_equal(change_three(f, pairs), -ENOMEM);
        assert_true(fault_alloc_disarm());
        option__defaults_are_written_when_bound(state);
    }
    fault_alloc_arm(0, 1);
    assert_int_equal(load(f, "name", "n"), -ENOMEM);
    assert_true(fault_alloc_disarm());
    option__defaults_are_written_when_bound(state);
    assert_int_equal(change_three(f, pairs), OPTION_OK);
}

static void option__walk_reports_failed_allocations(void **state)
{
    struct fixture *f = *state;
    struct walk all = {0};
    fault_alloc_arm(0, 2);
    assert_int_equal(option_set_walk(f->set, visit, &all), -ENOMEM);
    assert_true(fault_alloc_disarm());
    assert_int_equal(all.calls, 0);
}

static const struct option password_rows[] = {
    {.name = "pass", .type = OPTION_PASSWORD, .offset = 0, .def = ""},
};
static const struct option_table password_table = {.title = "P", .rows = password_rows, .count = 1};

static int count_applies(void *ctx, const struct option *option, struct errtext *err)
{
    (*(int *)ctx)++;
    return 0;
}

/* Only the digest is kept, and it is not shown. */
static void option__password(void **state)
{
    struct option_password value;
    struct option_set *set;
    struct errtext err;
    struct buf text;
    size_t failed_at;
    int applied = 0;
    unsigned char digest[SHA256_BYTES];
    assert_int_equal(option_set_create(&set), 0);
    assert_int_equal(option_set_add(set, &password_table, &value, count_applies, &applied), 0);
    assert_false(value.is_set);
    sha256(strview_str("secret"), digest);
    const char *const texts[] = {
        "secret", "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"};
    for (int i = 0; i < 2; i++) {
        const struct option_change change = {.name = strview_str("pass"),
                                             .value = strview_str(texts[i])};
        assert_int_equal(option_set_change(set, &change, 1, &failed_at, &err), OPTION_OK);
        assert_true(value.is_set);
        assert_memory_equal(value.sha256, digest, SHA256_BYTES);
        assert_int_equal(applied, 1);
    }
    buf_init(&text);
    assert_true(option_set_get(set, strview_str("pass"), &text));
    assert_int_equal(buf_len(&text), 0);
    assert_int_equal(option_set_load(set, strview_str("pass"), strview_str(""), &err), OPTION_OK);
    assert_false(value.is_set);
    option_set_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(option__password),
        cmocka_unit_test_setup_teardown(option__defaults_are_written_when_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(option__load_stores_every_type_without_applying, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(option__load_says_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(option__bad_values_are_refused_in_redis_words, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(option__integers_reach_the_ends_of_their_type, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(option__percent_is_of_the_memory_there_is, setup, teardown),
        cmocka_unit_test(option__share_is_kept_as_it_was_written),
        cmocka_unit_test_setup_teardown(option__texts_have_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(option__change_applies_what_is_new, setup, teardown),
        cmocka_unit_test_setup_teardown(option__fixed_and_unknown_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(option__several_changes_are_made_together, setup, teardown),
        cmocka_unit_test_setup_teardown(option__one_bad_value_undoes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(option__refusal_undoes_all_and_applies_the_old, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(option__shows_values_as_users_write_them, setup, teardown),
        cmocka_unit_test_setup_teardown(option__secrets_are_never_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(option__walk_sees_all_in_order_and_can_stop, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(option__suggests_the_nearest_name, setup, teardown),
        cmocka_unit_test(option__destroy_takes_null),
        cmocka_unit_test(option__binding_survives_failed_allocations),
        cmocka_unit_test_setup_teardown(option__changes_survive_failed_allocations, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(option__walk_reports_failed_allocations, setup, teardown),
    };
    return cmocka_run_group_tests_name("base/option", tests, NULL, NULL);
}
