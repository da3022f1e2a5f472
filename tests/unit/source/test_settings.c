/* Option tables of sources and maps. */
#include "src/source/options.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static int apply(struct map_options *o, const char *name, const char *value, bool is_running,
                 struct errtext *err)
{
    struct strview argv[2] = {strview_str(name), strview_str(value)};
    return settings_apply(&map_settings, o, argv, 2, is_running, err);
}

static void settings__defaults_are_as_documented(void **state)
{
    (void)state;
    struct map_options m;
    struct source_options s;
    settings_defaults(&map_settings, &m);
    settings_defaults(&source_settings, &s);
    assert_int_equal(m.ttl_ms, 300000);
    assert_int_equal(m.jitter, SETTING_PERCENT_UNITS / 10);
    assert_int_equal(m.negative_ttl_ms, 5000);
    assert_int_equal(m.error_hold_ms, 100);
    assert_int_equal(m.max_value, 1024 * 1024);
    assert_int_equal(m.max_row, 16 * 1024 * 1024);
    assert_int_equal(m.max_param, 256);
    assert_int_equal(m.exists_loads, 1);
    assert_int_equal(m.load_timeout_ms, 0);
    assert_string_equal(m.ttl_column, "");
    assert_int_equal(s.load_timeout_ms, 1000);
    assert_int_equal(s.max_queue, 1024);
    assert_int_equal(s.max_waiters, 10000);
    assert_int_equal(s.max_waiters_per_key, 1000);
    assert_int_equal(s.inflight_memory, 64 * 1024 * 1024);
    assert_int_equal(s.max_client_loads, 64);
}

static void settings__values_are_parsed_by_type(void **state)
{
    (void)state;
    struct map_options m;
    struct errtext err;
    settings_defaults(&map_settings, &m);
    assert_int_equal(apply(&m, "TTL", "250ms", true, &err), 0);
    assert_int_equal(m.ttl_ms, 250);
    assert_int_equal(apply(&m, "ttl", "30", true, &err), 0);
    assert_int_equal(m.ttl_ms, 30000);
    assert_int_equal(apply(&m, "jitter", "12.5%", true, &err), 0);
    assert_int_equal(m.jitter, 125000);
    assert_int_equal(apply(&m, "max-value", "2mb", true, &err), 0);
    assert_int_equal(m.max_value, 2 * 1024 * 1024);
    assert_int_equal(apply(&m, "null", "EMPTY", true, &err), 0);
    assert_int_equal(m.null, 1);
    assert_int_equal(apply(&m, "ttl-column", "life", true, &err), 0);
    assert_string_equal(m.ttl_column, "life");
}

static void assert_refused(const char *name, const char *value, const char *part)
{
    struct map_options m;
    struct errtext err;
    settings_defaults(&map_settings, &m);
    assert_true(apply(&m, name, value, false, &err) < 0);
    if (strstr(err.text, part) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, part);
    }
}

static void settings__refusals_say_what_would_do(void **state)
{
    (void)state;
    assert_refused("tll", "5s", "unknown option 'tll', did you mean 'ttl'?");
    assert_refused("negative-tt", "5s", "did you mean 'negative-ttl'?");
    assert_refused("completely-different", "5s", "unknown option 'completely-different'");
    assert_refused("as", "list", "option 'as' cannot be 'list': it is one of string, json, raw");
    assert_refused("writes", "behind", "one of reject, local, through");
    assert_refused("ttl", "-1", "option 'ttl' cannot be '-1': it is between 0s and");
    assert_refused("ttl", "soon", "between");
    assert_refused("ttl", "99999999d", "between");
    assert_refused("jitter", "10", "between 0% and 100%");
    assert_refused("jitter", "101%", "between 0% and 100%");
    assert_refused("max-param", "0", "between 1 and 65536");
    assert_refused("ttl-column",
                   "0123456789012345678901234567890123456789012345678901234567890123456789",
                   "less than 64");
    struct map_options m;
    struct errtext err;
    struct strview odd[] = {{"ttl", 3}};
    settings_defaults(&map_settings, &m);
    assert_true(settings_apply(&map_settings, &m, odd, 1, false, &err) < 0);
    assert_non_null(strstr(err.text, "needs a value"));
    assert_true(apply(&m, "as", "json", true, &err) < 0);
    assert_non_null(strstr(err.text, "only be set at start"));
}

/* Whatever is written reads back as the same. */
static void settings__written_values_read_back(void **state)
{
    (void)state;
    static const char *const values[][2] = {
        {"ttl", "90m"},         {"ttl", "1500ms"},      {"ttl", "0"},
        {"jitter", "12.5%"},    {"max-value", "7kb"},   {"null", "error"},
        {"ttl-column", "life"}, {"exists-loads", "no"}, {"load-timeout", "2s"}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct map_options one, two;
        struct errtext err;
        struct buf text;
        buf_init(&text);
        settings_defaults(&map_settings, &one);
        settings_defaults(&map_settings, &two);
        assert_int_equal(apply(&one, values[i][0], values[i][1], false, &err), 0);
        for (size_t r = 0; r < map_settings.count; r++) {
            const struct setting *row = &map_settings.rows[r];
            assert_int_equal(setting_is_default(row, &one), strcmp(row->name, values[i][0]) != 0);
            if (!setting_is_default(row, &one)) {
                setting_write(row, &one, &text);
                struct strview argv[2] = {strview_str(row->name), buf_view(&text)};
                assert_int_equal(settings_apply(&map_settings, &two, argv, 2, false, &err), 0);
            }
        }
        assert_memory_equal(&one, &two, sizeof(one));
        buf_fini(&text);
    }
}

struct words {
    char text[256];
};

static void add_word(void *ctx, struct strview word)
{
    struct words *w = ctx;
    size_t at = strlen(w->text);
    (void)snprintf(w->text + at, sizeof(w->text) - at, "%s%.*s", at > 0 ? "|" : "",
                   STRVIEW_ARG(word));
}

static int apply_source(struct source_options *o, const char *const *words, int count,
                        struct errtext *err)
{
    struct strview argv[8];
    for (int i = 0; i < count; i++) {
        argv[i] = strview_str(words[i]);
    }
    return settings_apply(&source_settings, o, argv, count, false, err);
}

static const struct setting *row_of(const char *name)
{
    for (size_t i = 0; i < source_settings.count; i++) {
        if (strcmp(source_settings.rows[i].name, name) == 0) {
            return &source_settings.rows[i];
        }
    }
    fail_msg("no option '%s'", name);
    return NULL;
}

static void settings__a_list_keeps_each_text(void **state)
{
    (void)state;
    struct source_options o;
    struct errtext err;
    struct words words = {0};
    settings_defaults(&source_settings, &o);
    const char *const argv[] = {"replica", "host=a port=1", "replica", "host=b"};
    assert_int_equal(apply_source(&o, argv, 4, &err), 0);
    assert_string_equal(o.driver.replicas, "host=a port=1");
    assert_string_equal(o.driver.replicas + sizeof("host=a port=1"), "host=b");
    setting_walk_words(row_of("replica"), &o, add_word, &words);
    assert_string_equal(words.text, "replica|host=a port=1|replica|host=b");

    static char large[SETTING_LIST_MAX - 10];
    memset(large, 'x', sizeof(large) - 1);
    const char *const more[] = {"replica", large};
    assert_true(apply_source(&o, more, 2, &err) < 0);
    const char *const empty[] = {"replica", ""};
    assert_true(apply_source(&o, empty, 2, &err) < 0);
}

static void settings__a_choice_may_take_a_word(void **state)
{
    (void)state;
    struct source_options o;
    struct errtext err;
    struct words words = {0};
    settings_defaults(&source_settings, &o);
    const char *const argv[] = {"invalidate", "NOTIFY", "cache inval", "pool", "3"};
    assert_int_equal(apply_source(&o, argv, 5, &err), 0);
    assert_int_equal(o.driver.feed, DRIVER_FEED_NOTIFY);
    assert_string_equal(o.driver.feed_name, "cache inval");
    assert_int_equal(o.pool, 3);
    setting_walk_words(row_of("invalidate"), &o, add_word, &words);
    assert_string_equal(words.text, "invalidate|notify|cache inval");

    const char *const without[] = {"invalidate", "data-version"};
    assert_int_equal(apply_source(&o, without, 2, &err), 0);
    assert_int_equal(o.driver.feed, DRIVER_FEED_VERSION);
    assert_string_equal(o.driver.feed_name, "");
    const char *const missing[] = {"invalidate", "notify"};
    assert_true(apply_source(&o, missing, 2, &err) < 0);
    assert_non_null(strstr(err.text, "notify <channel>"));
}

static void settings__what_a_driver_cannot_do_is_refused(void **state)
{
    (void)state;
    static const char *const options[][3] = {
        {"pipeline", "2"},
        {"prepare", "no"},
        {"idle-timeout", "1s"},
        {"max-lifetime", "1s"},
        {"password-file", "/x"},
        {"user-file", "/x"},
        {"replica", "x"},
        {"read-from", "replica"},
        {"max-lag", "1s"},
        {"invalidate", "notify", "x"},
        {"invalidate", "changelog", "x"},
        {"invalidate", "data-version"},
    };
    struct source_driver nothing = {.name = "nothing"};
    struct source_driver everything = {.name = "everything", .abilities = ~0u};
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        struct source_options o;
        struct errtext err;
        settings_defaults(&source_settings, &o);
        assert_int_equal(source_options_check(&o, &nothing, &err), 0);
        assert_int_equal(apply_source(&o, options[i], options[i][2] != NULL ? 3 : 2, &err), 0);
        assert_int_equal(source_options_check(&o, &everything, &err), 0);
        assert_true(source_options_check(&o, &nothing, &err) < 0);
        assert_non_null(strstr(err.text, "driver 'nothing'"));
    }
}

static void settings__every_row_is_whole(void **state)
{
    (void)state;
    const struct setting_table *tables[] = {&map_settings, &source_settings};
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct setting *row = &tables[t]->rows[i];
            assert_non_null(row->name);
            assert_non_null(row->help);
            assert_int_equal(row->names != NULL, row->type == SETTING_CHOICE);
            for (size_t j = 0; j < i; j++) {
                assert_string_not_equal(row->name, tables[t]->rows[j].name);
                assert_int_not_equal(row->offset, tables[t]->rows[j].offset);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings__defaults_are_as_documented),
        cmocka_unit_test(settings__values_are_parsed_by_type),
        cmocka_unit_test(settings__refusals_say_what_would_do),
        cmocka_unit_test(settings__written_values_read_back),
        cmocka_unit_test(settings__a_list_keeps_each_text),
        cmocka_unit_test(settings__a_choice_may_take_a_word),
        cmocka_unit_test(settings__what_a_driver_cannot_do_is_refused),
        cmocka_unit_test(settings__every_row_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
