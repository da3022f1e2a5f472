/*
 * CONFIG REWRITE: what stays of a file and what is written anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/server/config.h"
#include "src/server/config_rewrite.h"
#include "tarn/source/source.h"

#define SHA256_OF_HUNTER2 "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"

struct fixture {
    char folder[64];
    char path[96], include[96];
    struct config_values values;
    struct option_set *set;
    struct sources *sources; /* NULL: not looked at */
    struct clock clock;
    struct errtext err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct config_apply nobody = {0};
    assert_non_null(f);
    strcpy(f->folder, "/tmp/tarn-rewrite-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/tarn.conf", f->folder);
    snprintf(f->include, sizeof(f->include), "%s/more.conf", f->folder);
    assert_int_equal(config_values_bind(&f->values, &nobody, &f->set), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    option_set_destroy(f->set);
    sources_destroy(f->sources);
    (void)unlink(f->path);
    (void)unlink(f->include);
    assert_int_equal(rmdir(f->folder), 0); /* nothing is left behind */
    free(f);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void assert_file(const char *path, const char *expected)
{
    char text[4096];
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    fclose(in);
    assert_string_equal(text, expected);
}

/* A server that was started with this file. */
static void start(struct fixture *f, const char *text)
{
    struct config config = {.options = f->set};
    write_file(f->path, text);
    if (config_load_stream(&config, fopen(f->path, "r"), f->path, &f->err) != CONFIG_OK) {
        fail_msg("%s", f->err.text);
    }
    config_fini(&config);
}

static void set(struct fixture *f, const char *name, const char *value)
{
    const int result = option_set_load(f->set, strview_str(name), strview_str(value), &f->err);
    assert_int_equal(result, OPTION_OK);
}

static void rewrites_to(struct fixture *f, const char *expected)
{
    if (config_rewrite(f->path, f->set, f->sources, &f->err) != 0) {
        fail_msg("%s", f->err.text);
    }
    assert_file(f->path, expected);
}

static void rewrite__what_is_true_already_stays_to_the_byte(void **state)
{
    struct fixture *f = *state;
    const char *text = "# mine\n\n  maxmemory   100mb \r\nmaxclients 7\nMAXCLIENTS 9\n\t# end\n"
                       "requirepass hunter2\n"
                       "source shop mock -\nmap user shop user:{id:int} 'SELECT 1'\ntimeout 0";
    start(f, text);
    rewrites_to(f, text);
}

static void rewrite__a_changed_option_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    start(f, "# head\nmaxmemory 100mb\n# between\ntimeout 5\n\n# end\n");
    set(f, "timeout", "0");
    set(f, "maxmemory", "1gb");
    rewrites_to(f, "# head\nmaxmemory 1073741824\n# between\ntimeout 0\n\n# end\n");
    rewrites_to(f, "# head\nmaxmemory 1073741824\n# between\ntimeout 0\n\n# end\n");
}

static void rewrite__the_last_line_counts(void **state)
{
    struct fixture *f = *state;
    start(f, "timeout 1\nTimeout 2\nport 0\n");
    set(f, "timeout", "3");
    rewrites_to(f, "timeout 1\ntimeout 3\nport 0\n");
}

static void rewrite__new_options_come_at_the_end(void **state)
{
    struct fixture *f = *state;
    start(f, "port 0");
    set(f, "timeout", "3");
    rewrites_to(f, "port 0\n\n# Written by CONFIG REWRITE\ntimeout 3\n");
    set(f, "maxclients", "44");
    rewrites_to(f, "port 0\n\n# Written by CONFIG REWRITE\ntimeout 3\nmaxclients 44\n");
    set(f, "timeout", "0");
    rewrites_to(f, "port 0\n\n# Written by CONFIG REWRITE\ntimeout 0\nmaxclients 44\n");
}

static void rewrite__an_empty_file(void **state)
{
    struct fixture *f = *state;
    start(f, "");
    rewrites_to(f, "");
    set(f, "timeout", "3");
    rewrites_to(f, "\n# Written by CONFIG REWRITE\ntimeout 3\n");
}

static void rewrite__included_files_are_left_alone(void **state)
{
    struct fixture *f = *state;
    write_file(f->include, "timeout 7\nmaxclients 50\n");
    start(f, "timeout 1\ninclude more.conf\nport 0\n");
    set(f, "timeout", "9");
    set(f, "port", "1");
    rewrites_to(f, "timeout 1\ninclude more.conf\nport 1\n\n# Written by CONFIG REWRITE\ntimeout "
                   "9\n");
    assert_file(f->include, "timeout 7\nmaxclients 50\n");
}

static void rewrite__values_are_quoted_where_they_must_be(void **state)
{
    struct fixture *f = *state;
    start(f, "");
    set(f, "logfile", "a \"b\" \\ \t#");
    set(f, "bind", "127.0.0.1 ::1");
    set(f, "latency-tracking-info-percentiles", "");
    if (config_rewrite(f->path, f->set, f->sources, &f->err) != 0) {
        fail_msg("%s", f->err.text);
    }
    struct fixture again = *f;
    const struct config_apply nobody = {0};
    assert_int_equal(config_values_bind(&again.values, &nobody, &again.set), 0);
    struct config config = {.options = again.set};
    assert_int_equal(config_load_stream(&config, fopen(f->path, "r"), f->path, &f->err), CONFIG_OK);
    assert_string_equal(again.values.process.logfile, "a \"b\" \\ \t#");
    assert_string_equal(again.values.command.latency_tracking_info_percentiles, "");
    config_fini(&config);
    option_set_destroy(again.set);
}

static void rewrite__passwords_are_written_as_their_digest(void **state)
{
    struct fixture *f = *state;
    start(f, "requirepass old\n");
    set(f, "requirepass", "hunter2");
    rewrites_to(f, "requirepass sha256:" SHA256_OF_HUNTER2 "\n");
    set(f, "requirepass", "");
    rewrites_to(f, "requirepass \"\"\n");
}

static void rewrite__keeps_the_mode_and_follows_links(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    start(f, "timeout 1\n");
    assert_int_equal(rename(f->path, f->include), 0);
    assert_int_equal(chmod(f->include, 0640), 0);
    assert_int_equal(symlink(f->include, f->path), 0);
    set(f, "timeout", "2");
    rewrites_to(f, "timeout 2\n");
    assert_int_equal(lstat(f->path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
}

static void rewrite__failures_leave_the_file(void **state)
{
    struct fixture *f = *state;
    start(f, "timeout 1\n");
    set(f, "timeout", "2");
    assert_int_equal(config_rewrite("/nonexistent/tarn.conf", f->set, NULL, &f->err), -1);
    assert_string_equal(f->err.text, "No such file or directory");
    write_file(f->path, "timeout nonsense\n");
    assert_int_equal(config_rewrite(f->path, f->set, f->sources, &f->err), -1);
    assert_non_null(strstr(f->err.text, "tarn.conf:1"));
    assert_file(f->path, "timeout nonsense\n");
}

/* ---- sources and maps ---- */

#define SHOP "source shop mock \"a b\" pool 3\n"
#define USER "map user shop user:{id:int} \"SELECT $id\"\n"
#define MARK "\n# Written by CONFIG REWRITE\n"

/* A server that was started with this file, its sources included. */
static void start_sources(struct fixture *f, const char *text)
{
    struct config config = {.options = f->set};
    write_file(f->path, text);
    f->clock.mono_ms = 1;
    assert_int_equal(sources_create(&f->sources, NULL, NULL, &f->clock, &f->err), 0);
    if (config_load_stream(&config, fopen(f->path, "r"), f->path, &f->err) != CONFIG_OK ||
        config_apply_directives(&config, f->sources, &f->err) != CONFIG_OK) {
        fail_msg("%s", f->err.text);
    }
    config_fini(&config);
}

/* Words are separated by '|'. */
static void change(struct fixture *f, const char *directive, const char *line)
{
    struct strview words[16];
    int count = 0;
    while (*line != '\0') {
        const size_t len = strcspn(line, "|");
        words[count++] = strview_of(line, len);
        line += len + (line[len] == '|');
    }
    if (sources_change(f->sources, directive, words, count, &f->err) != 0) {
        fail_msg("%s", f->err.text);
    }
}

static void delete (struct fixture *f, const char *name)
{
    assert_int_equal(sources_delete(f->sources, strview_str(name), &f->err), 0);
}

static void refuses(struct fixture *f, const char *part)
{
    assert_int_equal(config_rewrite(f->path, f->set, f->sources, &f->err), -1);
    if (strstr(f->err.text, part) == NULL) {
        fail_msg("'%s' does not say '%s'", f->err.text, part);
    }
}

static void rewrite__sources_that_did_not_change_stay_to_the_byte(void **state)
{
    struct fixture *f = *state;
    const char *text = "# mine\nsource shop mock 'a b'   pool 3\nsource-set shop max-queue 7\n"
                       "map user shop user:{id:int} 'SELECT $id' ttl 60\nmap-set user ttl 300s\n";
    start_sources(f, text);
    rewrites_to(f, text);
    change(f, "map-set", "user|ttl|5m");
    rewrites_to(f, text);
}

static void rewrite__options_of_sources_and_maps_get_a_line_each(void **state)
{
    struct fixture *f = *state;
    start_sources(f, SHOP USER "port 0\n");
    change(f, "map-set", "user|ttl|10m|stale-ttl|1m");
    change(f, "source-set", "shop|max-queue|5");
    rewrites_to(f, SHOP USER "port 0\n" MARK "source-set shop max-queue 5\nmap-set user ttl 10m\n"
                             "map-set user stale-ttl 1m\n");
    change(f, "map-set", "user|ttl|20m");
    change(f, "source-set", "shop|breaker|1 50% 10s");
    rewrites_to(f, SHOP USER "port 0\n" MARK "source-set shop max-queue 5\nmap-set user ttl 20m\n"
                             "map-set user stale-ttl 1m\nsource-set shop breaker \"1 50% 10s\"\n");
}

static void rewrite__an_option_that_is_set_among_others_is_set_again(void **state)
{
    struct fixture *f = *state;
    start_sources(f, SHOP USER "map-set user ttl 1s\nmap-set user ttl 2s jitter 0%\n");
    change(f, "map-set", "user|ttl|3s");
    rewrites_to(f, SHOP USER "map-set user ttl 1s\nmap-set user ttl 2s jitter 0%\n" MARK
                             "map-set user ttl 3s\n");
}

static void rewrite__what_is_new_comes_at_the_end(void **state)
{
    struct fixture *f = *state;
    static const char *const expected = SHOP USER MARK
        "source other mock x max-queue 9\nmap a shop a:{id:int} \"SELECT '$id', $id\"\n"
        "map b other b:{id:int} $id ttl 1s\n";
    start_sources(f, SHOP USER);
    change(f, "map", "a|shop|a:{id:int}|SELECT '$id', $id");
    change(f, "source", "other|mock|x");
    change(f, "map", "b|other|b:{id:int}|$id");
    change(f, "map-set", "b|ttl|1s");
    change(f, "source-set", "other|max-queue|9");
    rewrites_to(f, expected);
    rewrites_to(f, expected);
    delete (f, "b");
    delete (f, "other");
    rewrites_to(f, SHOP USER MARK "map a shop a:{id:int} \"SELECT '$id', $id\"\n");
}

static void rewrite__lines_of_what_is_gone_go(void **state)
{
    struct fixture *f = *state;
    start_sources(f,
                  "# a\n" SHOP "source-set shop max-queue 9\n# b\n" USER "map-set user ttl 1s\r\n"
                  "MAP-SET user ttl 2s\nmap users shop users:{id:int} $id\n# c");
    delete (f, "user");
    rewrites_to(f, "# a\n" SHOP "source-set shop max-queue 9\n# b\n"
                   "map users shop users:{id:int} $id\n# c");
    delete (f, "users");
    delete (f, "shop");
    rewrites_to(f, "# a\n# b\n# c");
}

static void rewrite__what_was_made_anew_replaces_what_was(void **state)
{
    struct fixture *f = *state;
    start_sources(f, SHOP "source-set shop max-queue 9\n# between\n" USER
                          "map page shop page:{id:int} $id\nmap-set user ttl 1s\n");
    delete (f, "user");
    delete (f, "page");
    delete (f, "shop");
    change(f, "source", "shop|mock|elsewhere");
    change(f, "map", "page|shop|page:{id:int}|$id");
    change(f, "map", "user|shop|user:{id:uint}|SELECT $id|ttl|5s");
    rewrites_to(f, "source shop mock elsewhere\n# between\nmap page shop page:{id:int} $id\n" MARK
                   "map user shop user:{id:uint} \"SELECT $id\" ttl 5s\n");
}

static void rewrite__what_an_included_file_defines_cannot_go(void **state)
{
    struct fixture *f = *state;
    static const char *const text = SHOP "include more.conf\n" USER;
    write_file(f->include, "map page shop page:{id:int} $id\nmap-set page ttl 1s\n");
    start_sources(f, text);
    change(f, "map-set", "page|ttl|2s");
    rewrites_to(f, SHOP "include more.conf\n" USER MARK "map-set page ttl 2s\n");
    delete (f, "page");
    refuses(f, "map 'page' is defined in an included file");
}

static void rewrite__a_file_that_would_be_refused_is_not_written(void **state)
{
    struct fixture *f = *state;
    static const char *const text = SHOP USER "include more.conf\n";
    write_file(f->include, "map-set user ttl 1s\n");
    start_sources(f, text);
    delete (f, "user");
    refuses(f, "the new file would be refused");
    assert_file(f->path, text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rewrite__what_is_true_already_stays_to_the_byte),
        CASE(rewrite__a_changed_option_keeps_its_place),
        CASE(rewrite__the_last_line_counts),
        CASE(rewrite__new_options_come_at_the_end),
        CASE(rewrite__an_empty_file),
        CASE(rewrite__included_files_are_left_alone),
        CASE(rewrite__values_are_quoted_where_they_must_be),
        CASE(rewrite__passwords_are_written_as_their_digest),
        CASE(rewrite__keeps_the_mode_and_follows_links),
        CASE(rewrite__failures_leave_the_file),
        CASE(rewrite__sources_that_did_not_change_stay_to_the_byte),
        CASE(rewrite__options_of_sources_and_maps_get_a_line_each),
        CASE(rewrite__an_option_that_is_set_among_others_is_set_again),
        CASE(rewrite__what_is_new_comes_at_the_end),
        CASE(rewrite__lines_of_what_is_gone_go),
        CASE(rewrite__what_was_made_anew_replaces_what_was),
        CASE(rewrite__what_an_included_file_defines_cannot_go),
        CASE(rewrite__a_file_that_would_be_refused_is_not_written),
    };
    return cmocka_run_group_tests_name("server/config_rewrite", tests, NULL, NULL);
}
