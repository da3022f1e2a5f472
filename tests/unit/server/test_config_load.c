/*
 * Configuration files and arguments: what gets into the options, and what mistakes are called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/server/config.h"
#include "tarn/server/args.h"

/* A word of a command line, which belongs to the program and may be written to. */
#define W(s) ((char[]){s})

struct fixture {
    struct config_values values;
    struct option_set *set;
    struct config config;
    struct errtext err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct config_apply nobody = {0};
    assert_non_null(f);
    assert_int_equal(config_values_bind(&f->values, &nobody, &f->set), 0);
    f->config.options = f->set;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    config_fini(&f->config);
    option_set_destroy(f->set);
    free(f);
    return 0;
}

static enum config_result load(struct fixture *f, const char *text)
{
    FILE *stream = tmpfile();
    assert_non_null(stream);
    fputs(text, stream);
    rewind(stream);
    return config_load_stream(&f->config, stream, "x.conf", &f->err);
}

static void refuses(struct fixture *f, const char *text, const char *message)
{
    assert_int_equal(load(f, text), CONFIG_BAD_FILE);
    assert_string_equal(f->err.text, message);
}

static enum config_result load_args(struct fixture *f, int argc, char **argv)
{
    struct args args;
    assert_int_equal(args_parse(&args, argc, argv, &f->err), 0);
    return config_load(&f->config, &args, &f->err);
}

static void config__has_the_defaults_of_all_layers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, ""), CONFIG_OK);
    assert_int_equal(f->values.net.port, 6379);
    assert_string_equal(f->values.net.bind, "127.0.0.1 -::1");
    assert_int_equal(f->values.process.databases, 16);
}

static void config__reads_lines_of_name_and_value(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        load(f, "# a comment\n\n  port\t7000  \r\nBIND 10.0.0.1   '::1'\n"
                "unixsocket \"/tmp/with blank\"\nclient-output-buffer-limit normal 1 2 3\n"
                "save \"\"\nport 7001"),
        CONFIG_OK);
    assert_int_equal(f->values.net.port, 7001);
    assert_string_equal(f->values.net.bind, "10.0.0.1 ::1");
    assert_string_equal(f->values.net.unixsocket, "/tmp/with blank");
    assert_string_equal(f->values.net.client_output_buffer_limit, "normal 1 2 3");
}

static void config__names_file_line_and_option(void **state)
{
    struct fixture *f = *state;
    refuses(f, "\n\nprot 1\n", "x.conf:3: unknown option 'prot'; did you mean 'port'?");
    refuses(f, "mapp a b c d\n", "x.conf:1: unknown option 'mapp'; did you mean 'map'?");
    refuses(f, "xyzzyxyzzy 1\n", "x.conf:1: unknown option 'xyzzyxyzzy'; see --help");
    refuses(f, "port 70000\n", "x.conf:1: port: argument must be between 0 and 65535 inclusive");
    refuses(f, "port 1 2\n", "x.conf:1: port: argument couldn't be parsed into an integer");
    refuses(f, "logfile\n", "x.conf:1: logfile: the value is missing");
    refuses(f, "port 1\nbind \"a\n", "x.conf:2: unbalanced quotes");
    refuses(f, "daemonize yes\n",
            "x.conf:1: daemonize: argument(s) must be one of the following: no");
    refuses(f, "include\n", "x.conf:1: include takes the name of one file");
}

static void config__includes_files_beside_it(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/tarn-test-XXXXXX";
    char main_path[64];
    char sub_path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(main_path, sizeof(main_path), "%s/main.conf", folder);
    (void)snprintf(sub_path, sizeof(sub_path), "%s/sub.conf", folder);
    FILE *sub = fopen(sub_path, "we");
    assert_non_null(sub);
    fputs("port 7000\ntimeout 5\n", sub);
    fclose(sub);
    FILE *top = fopen(main_path, "w+e");
    assert_non_null(top);
    fputs("port 1\ninclude sub.conf\ntimeout 6\n", top);
    rewind(top);
    assert_int_equal(config_load_stream(&f->config, top, main_path, &f->err), CONFIG_OK);
    assert_int_equal(f->values.net.port, 7000);
    assert_int_equal(f->values.net.timeout_s, 6);

    sub = fopen(sub_path, "we"); /* now it includes itself */
    assert_non_null(sub);
    fputs("include sub.conf\n", sub);
    fclose(sub);
    top = fopen(sub_path, "re");
    assert_non_null(top);
    assert_int_equal(config_load_stream(&f->config, top, sub_path, &f->err), CONFIG_BAD_FILE);
    assert_non_null(strstr(f->err.text, "include each other"));
    (void)unlink(main_path);
    (void)unlink(sub_path);
    assert_int_equal(rmdir(folder), 0);

    assert_int_equal(load(f, "include /nowhere/at.all\n"), CONFIG_BAD_FILE);
    assert_string_equal(f->err.text,
                        "x.conf:1: cannot read /nowhere/at.all: No such file or directory");
}

static void config__keeps_directives_in_order_with_their_place(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        load(f, "port 1\nsource s mock \"\"\nmap m s \"a:{id:int}\" 'SELECT $id' ttl 5\n"),
        CONFIG_OK);
    assert_int_equal(f->config.directives_count, 2);
    const struct config_directive *d = &f->config.directives[1];
    assert_string_equal(d->where, "x.conf:3");
    assert_int_equal(d->argc, 7);
    assert_true(strview_eq(d->argv[4], strview_str("SELECT $id")));
    assert_int_equal(f->config.directives[0].argv[3].len, 0);
}

static void config__arguments_win_over_the_file(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/tarn-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "port 1\ntimeout 7\n", 17), 17);
    close(fd);
    char *argv[] = {W("tarn"), path,       W("--port"), W("2"), W("--bind"),        W("a"),
                    W("-b"),   W("--map"), W("m"),      W("s"), W("--check-config")};
    assert_int_equal(load_args(f, (int)ARRAY_LEN(argv), argv), CONFIG_OK);
    (void)unlink(path);
    assert_int_equal(f->values.net.port, 2);
    assert_int_equal(f->values.net.timeout_s, 7);
    assert_string_equal(f->values.net.bind, "a -b");
    assert_int_equal(f->config.directives_count, 1);
    assert_int_equal(f->config.directives[0].argc, 3);
}

static void config__mistakes_of_arguments_are_told_from_those_of_files(void **state)
{
    struct fixture *f = *state;
    char *unknown[] = {W("tarn"), W("--prot"), W("2")};
    assert_int_equal(load_args(f, 3, unknown), CONFIG_BAD_ARGS);
    assert_string_equal(f->err.text, "command line: unknown option 'prot'; did you mean 'port'?");
    char *missing[] = {W("tarn"), W("--port")};
    assert_int_equal(load_args(f, 2, missing), CONFIG_BAD_ARGS);
    char *nowhere[] = {W("tarn"), W("/nowhere/tarn.conf")};
    assert_int_equal(load_args(f, 2, nowhere), CONFIG_BAD_FILE);
    struct args args;
    char *stray[] = {W("tarn"), W("file"), W("stray")};
    assert_true(args_parse(&args, 3, stray, &f->err) < 0);
    char *dash[] = {W("tarn"), W("-x")};
    assert_true(args_parse(&args, 2, dash, &f->err) < 0);
}

static void args__find_the_action_anywhere(void **state)
{
    struct fixture *f = *state;
    struct args args;
    char *help[] = {W("tarn"), W("file"), W("--port"), W("1"), W("--help")};
    assert_int_equal(args_parse(&args, 5, help, &f->err), 0);
    assert_int_equal(args.action, ARGS_HELP);
    char *version[] = {W("tarn"), W("-v")};
    assert_int_equal(args_parse(&args, 2, version, &f->err), 0);
    assert_int_equal(args.action, ARGS_VERSION);
    char *nothing[] = {W("tarn")};
    assert_int_equal(args_parse(&args, 1, nothing, &f->err), 0);
    assert_int_equal(args.action, ARGS_SERVE);
    assert_null(args.config_file);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(config__has_the_defaults_of_all_layers),
        CASE(config__reads_lines_of_name_and_value),
        CASE(config__names_file_line_and_option),
        CASE(config__includes_files_beside_it),
        CASE(config__keeps_directives_in_order_with_their_place),
        CASE(config__arguments_win_over_the_file),
        CASE(config__mistakes_of_arguments_are_told_from_those_of_files),
        CASE(args__find_the_action_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
