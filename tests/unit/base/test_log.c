/* Lines of the log: their form, their level, and that threads do not mix them. */
#include "tarn/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define STAMP "dddd-dd-ddTdd:dd:dd.ddd+dd:dd "

struct fixture {
    char folder[64], path[80], other[80];
    char *text; /* owned: what read_back() read last */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/tarn-log-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/log", f->folder);
    snprintf(f->other, sizeof(f->other), "%s/other", f->folder);
    log_set_level(LOG_NOTICE);
    assert_int_equal(log_set_file(f->path), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(log_set_file(""), 0);
    (void)unlink(f->path);
    (void)unlink(f->other);
    assert_int_equal(rmdir(f->folder), 0);
    free(f->text);
    free(f);
    return 0;
}

static const char *read_back(struct fixture *f, const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct stat st;
    assert_int_equal(fstat(fileno(file), &st), 0);
    free(f->text);
    f->text = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(f->text);
    assert_int_equal(fread(f->text, 1, (size_t)st.st_size, file), st.st_size);
    fclose(file);
    return f->text;
}

/* True when the line starts with a time stamp; the sign of the zone may be either. */
static bool has_stamp(const char *line)
{
    for (size_t i = 0; i < strlen(STAMP); i++) {
        char c = line[i];
        bool fits = STAMP[i] == 'd'   ? isdigit((unsigned char)c) != 0
                    : STAMP[i] == '+' ? c == '+' || c == '-'
                                      : c == STAMP[i];
        if (!fits) {
            return false;
        }
    }
    return true;
}

static void log__writes_stamp_level_and_text(void **state)
{
    struct fixture *f = *state;
    log_notice("ready on port %d", 6379);
    const char *text = read_back(f, f->path);
    assert_true(has_stamp(text));
    assert_string_equal(text + strlen(STAMP), "notice ready on port 6379\n");
}

static void log__shows_what_is_at_or_above_its_level(void **state)
{
    struct fixture *f = *state;
    log_set_level(LOG_VERBOSE);
    log_debug("one");
    log_verbose("two");
    log_warning("three");
    const char *text = read_back(f, f->path);
    assert_null(strstr(text, "one"));
    assert_non_null(strstr(text, " verbose two\n"));
    assert_non_null(strstr(text, " warning three\n"));
}

static void log__nothing_shows_nothing(void **state)
{
    struct fixture *f = *state;
    log_set_level(LOG_NOTHING);
    log_warning("lost");
    log_write(LOG_NOTHING, "lost too");
    assert_string_equal(read_back(f, f->path), "");
}

static void log__cannot_be_made_to_forge_lines(void **state)
{
    struct fixture *f = *state;
    log_notice("key %s", "a\nb\r\t\x1b[2J\x7f \xc3\xbc");
    const char *text = read_back(f, f->path);
    assert_non_null(strstr(text, "key a\\x0ab\\x0d\\x09\\x1b[2J\\x7f \xc3\xbc\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void log__cuts_long_messages(void **state)
{
    struct fixture *f = *state;
    static char message[100000];
    memset(message, 'm', sizeof(message) - 1);
    log_notice("%s", message);
    memset(message, '\n', sizeof(message) - 1);
    log_notice("%s", message);
    log_notice("short");
    const char *text = read_back(f, f->path);
    int lines = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        lines++;
        assert_true(has_stamp(line));
        assert_true(strcspn(line, "\n") < 4096);
    }
    assert_int_equal(lines, 3);
    assert_non_null(strstr(text, "mmm...\n"));
}

static void log__refused_file_leaves_the_sink(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(log_set_file("/nonexistent/folder/log"), -ENOENT);
    log_notice("still here");
    assert_non_null(strstr(read_back(f, f->path), "still here"));
}

static void log__changes_files_and_appends(void **state)
{
    struct fixture *f = *state;
    log_notice("first");
    assert_int_equal(log_set_file(f->other), 0);
    log_notice("second");
    assert_int_equal(log_set_file(f->path), 0);
    log_notice("third");
    const char *text = read_back(f, f->path);
    assert_non_null(strstr(text, "first\n"));
    assert_null(strstr(text, "second"));
    assert_non_null(strstr(text, "third\n"));
    assert_non_null(strstr(read_back(f, f->other), "second\n"));
}

static void log__keeps_errno(void **state)
{
    errno = ENOSPC;
    log_notice("between a failure and its handling");
    assert_int_equal(errno, ENOSPC);
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        log_notice("thread %s line %d end", (const char *)arg, i);
    }
    return NULL;
}

static void log__threads_do_not_mix_lines(void **state)
{
    struct fixture *f = *state;
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    const char *text = read_back(f, f->path);
    int next[THREADS] = {0};
    int lines = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char name = 0;
        int number = -1;
        int end = 0;
        assert_true(has_stamp(line));
        assert_int_equal(
            sscanf(line + strlen(STAMP), "notice thread %c line %d end%n", &name, &number, &end),
            2);
        assert_int_equal(line[strlen(STAMP) + (size_t)end], '\n');
        assert_int_equal(number, next[name - 'a']++);
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void log__limit_lets_one_through_per_second(void **state)
{
    struct log_limit l = {0};
    assert_true(log_limit_pass(&l, 1000));
    assert_int_equal(l.suppressed, 0);
    assert_false(log_limit_pass(&l, 1000));
    assert_false(log_limit_pass(&l, 1999));
    assert_true(log_limit_pass(&l, 2000));
    assert_int_equal(l.suppressed, 2);
    assert_false(log_limit_pass(&l, 2001));
    assert_true(log_limit_pass(&l, 9000));
    assert_int_equal(l.suppressed, 1);
    assert_true(log_limit_pass(&l, 10000));
    assert_int_equal(l.suppressed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log__writes_stamp_level_and_text, setup, teardown),
        cmocka_unit_test_setup_teardown(log__shows_what_is_at_or_above_its_level, setup, teardown),
        cmocka_unit_test_setup_teardown(log__nothing_shows_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(log__cannot_be_made_to_forge_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(log__cuts_long_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(log__refused_file_leaves_the_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(log__changes_files_and_appends, setup, teardown),
        cmocka_unit_test_setup_teardown(log__keeps_errno, setup, teardown),
        cmocka_unit_test_setup_teardown(log__threads_do_not_mix_lines, setup, teardown),
        cmocka_unit_test(log__limit_lets_one_through_per_second),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
