/*
 * The command line: tarn [FILE | -] [--name value...]...
 */
#ifndef TARN_SERVER_ARGS_H
#define TARN_SERVER_ARGS_H

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"

enum args_action { ARGS_SERVE, ARGS_CHECK, ARGS_HELP, ARGS_VERSION };

struct args {
    enum args_action action;
    const char *executable;
    const char *config_file; /* NULL: none; "-": standard input */
    int count;               /* of words below */
    char **words;            /* borrowed from argv: the first begins with "--" */
};

/* 0, or -EINVAL with text: the command line makes no sense. Names and values of options are not
 * looked at. */
int args_parse(struct args *out, int argc, char **argv, struct errtext *err) WARN_UNUSED;

/* The text of --help and --version, to standard output. 0 or -errno. */
int help_print(void) WARN_UNUSED;
void version_print(void);

/* Overwrites the passwords on the command line, which everybody on the machine can list. Call it
 * once they have been read. */
void args_hide_passwords(const struct args *args);

#endif
