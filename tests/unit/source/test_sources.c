/* Directives: what they accept, what they refuse, how they are written down. */
#include "tarn/source/source.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"

#define WORDS_MAX 32

struct fixture {
    struct clock clock;
    struct sources *sources;
    struct errtext err;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.clock = {.mono_ms = 1}};
    *state = &f;
    return sources_create(&f.sources, NULL, NULL, &f.clock, &f.err); /* nothing is started */
}

/* Words are separated by '|'. */
static int run(struct fixture *f, const char *line)
{
    struct strview words[WORDS_MAX];
    int count = 0;
    while (*line != '\0') {
        size_t len = strcspn(line, "|");
        words[count++] = strview_of(line, len);
        line += len + (line[len] == '|');
    }
    return sources_directive(f->sources, words, count, &f->err);
}

static void accept(struct fixture *f, const char *line)
{
    if (run(f, line) != 0) {
        fail_msg("%s: %s", line, f->err.text);
    }
}

static void refuse(struct fixture *f, const char *line, const char *part)
{
    if (run(f, line) == 0) {
        fail_msg("accepted: %s", line);
    }
    if (strstr(f->err.text, part) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", line, f->err.text, part);
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fault_alloc_disarm();
    /* What sources_destroy() stops was never started; the timer is the loop's business. */
    sources_destroy(f->sources);
    return 0;
}

static void sources__knows_its_directives(void **state)
{
    (void)state;
    assert_true(sources_is_directive(strview_str("source")));
    assert_true(sources_is_directive(strview_str("MAP-SET")));
    assert_true(sources_is_directive(strview_str("map")));
    assert_true(sources_is_directive(strview_str("source-set")));
    assert_false(sources_is_directive(strview_str("sources")));
    assert_false(sources_is_directive(strview_str("")));
}

static void sources__refuses_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    refuse(f, "source|shop|sqlit|/tmp/x", "there is no driver 'sqlit' in this build");
    refuse(f, "source|shop|mock", "usage: source");
    refuse(f, "source|sh op|mock|x", "a name has");
    refuse(f, "source|shop|mock|x|ttl|5", "source shop: unknown option 'ttl'");
    refuse(f, "source|shop|mock|x|pol|5", "did you mean 'pool'?");
    refuse(f, "source|shop|mock|x|pool|0", "between 1 and 128");
    accept(f, "source|shop|mock|x|pool|3");
    refuse(f, "source|shop|mock|x", "exists already");
    refuse(f, "map|user|shops|user:{id}|SELECT $id", "there is no source 'shops'");
    refuse(f, "map|user|shop|user:{id}", "usage: map");
    refuse(f, "map|user|shop|user:{id|SELECT $id", "map user: '{' without '}'");
    refuse(f, "map|user|shop|user:{id}|SELECT $ids", "'$ids' is not in the pattern");
    refuse(f, "map|user|shop|user:{id}|SELECT 1", "does not use");
    refuse(f, "map|user|shop|user:{id}|SELECT $id|as|list", "it is one of string, json, raw");
    refuse(f, "map|user|shop|user:{id}|SELECT $id|stael-ttl|5", "unknown option 'stael-ttl'");
    accept(f, "map|user|shop|user:{id:int}|SELECT $id");
    refuse(f, "map|user|shop|page:{id:int}|SELECT $id", "exists already");
    refuse(f, "map|other|shop|user:{s:slug}|SELECT $s",
           "a key can match this pattern and that of map 'user'");
    refuse(f, "map-set|users|ttl|5", "no such map");
    refuse(f, "map-set|user|ttl", "needs a value");
    refuse(f, "source-set|shops|pool|5", "there is no source");
    refuse(f, "source-set", "there is no source");
    refuse(f, "map-set", "no such map");
    refuse(f, "maps|x", "not a directive");
}

static int add_line(void *ctx, const struct source_change *change)
{
    struct buf *out = ctx;
    buf_append_view(out, change->line);
    buf_append_char(out, '\n');
    return out->failed ? -1 : 0;
}

/* The whole configuration as lines: what an empty one lacks. */
static void write_config(struct fixture *f, struct buf *out)
{
    struct sources *empty;
    assert_int_equal(sources_create_like(&empty, f->sources, &f->err), 0);
    assert_int_equal(sources_compare(f->sources, empty, add_line, out), 0);
    sources_destroy(empty);
}

static void sources__failed_change_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct buf before, after;
    buf_init(&before);
    buf_init(&after);
    accept(f, "source|shop|mock|x");
    accept(f, "map|user|shop|user:{id:int}|SELECT $id");
    write_config(f, &before);
    refuse(f, "map-set|user|ttl|7s|jitter|lots", "jitter");
    refuse(f, "source-set|shop|pool|7|max-queue|-1", "max-queue");
    write_config(f, &after);
    assert_true(strview_eq(buf_view(&before), buf_view(&after)));
    buf_fini(&before);
    buf_fini(&after);
}

static void sources__config_is_written_as_lines(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    buf_init(&out);
    accept(f, "source|shop|mock|a \"b\"|pool|3|load-timeout|1500ms");
    accept(f, "map|user|shop|user:{id:int}|SELECT '$id', $id\n-- \\|as|json|ttl|90s|null|empty");
    accept(f, "map-set|user|null|nil|exists-loads|no");
    write_config(f, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(buf_view(&out).data,
                        "source shop mock \"a \\\"b\\\"\" pool 3 load-timeout 1500ms\n"
                        "map user shop user:{id:int} \"SELECT '$id', $id\\x0a-- \\\\\" as json ttl "
                        "90s exists-loads no\n");
    buf_fini(&out);
}

static void sources__finds_the_map_of_a_key_among_many(void **state)
{
    struct fixture *f = *state;
    enum { MAPS = 300 };
    char line[128];
    accept(f, "source|shop|mock|x");
    assert_null(sources_match(f->sources, strview_str("m1:1")));
    assert_false(sources_has_maps(f->sources));
    for (int i = 0; i < MAPS; i++) {
        (void)snprintf(line, sizeof(line), "map|m%d|shop|%.*sm%d:{id:int}|SELECT $id", i, i % 7,
                       "xxxxxxx", i);
        accept(f, line);
    }
    accept(f, "map|tail|shop|{id:int}:tail|SELECT $id");
    accept(f, "map|fixed|shop|fixed|SELECT 1|exists-loads|no|max-param|4");
    for (int i = 0; i < MAPS; i++) {
        (void)snprintf(line, sizeof(line), "%.*sm%d:42", i % 7, "xxxxxxx", i);
        struct source_map *m = sources_match(f->sources, strview_str(line));
        (void)snprintf(line, sizeof(line), "m%d", i);
        assert_non_null(m);
        assert_ptr_equal(m, sources_map_by_name(f->sources, strview_str(line)));
        assert_true(source_map_exists_loads(m));
    }
    struct source_map *fixed = sources_match(f->sources, strview_str("fixed"));
    assert_ptr_equal(fixed, sources_map_by_name(f->sources, strview_str("fixed")));
    assert_false(source_map_exists_loads(fixed));
    assert_non_null(sources_match(f->sources, strview_str("12:tail")));
    assert_null(sources_match(f->sources, strview_str("m300:1")));
    assert_null(sources_match(f->sources, strview_str("m1:")));
    assert_null(sources_match(f->sources, strview_str("")));
    assert_null(sources_match(f->sources, strview_str("m")));
}

static void sources__longest_parameter_is_an_option(void **state)
{
    struct fixture *f = *state;
    accept(f, "source|shop|mock|x");
    accept(f, "map|s|shop|s:{x}|SELECT $x|max-param|4");
    assert_non_null(sources_match(f->sources, strview_str("s:abcd")));
    assert_null(sources_match(f->sources, strview_str("s:abcde")));
    accept(f, "map-set|s|max-param|5");
    assert_non_null(sources_match(f->sources, strview_str("s:abcde")));
}

static void sources__want_of_memory_is_reported(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"source|shop|mock|x",
                                        "map|user|shop|user:{id:int}|SELECT $id"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        for (size_t good = 0;; good++) {
            fault_alloc_arm(good, 1);
            int r = run(f, lines[i]);
            if (!fault_alloc_disarm()) {
                assert_int_equal(r, 0);
                break;
            }
            if (r == 0) {
                break; /* it could do without */
            }
        }
    }
    assert_non_null(sources_match(f->sources, strview_str("user:1")));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(sources__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(knows_its_directives),
        CASE(refuses_what_is_wrong),
        CASE(failed_change_changes_nothing),
        CASE(config_is_written_as_lines),
        CASE(finds_the_map_of_a_key_among_many),
        CASE(longest_parameter_is_an_option),
        CASE(want_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
