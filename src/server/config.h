/*
 * Configuration: the option structs of all layers, and how files and arguments get into them.
 */
#ifndef TARN_SERVER_CONFIG_H
#define TARN_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/option.h"
#include "tarn/base/strview.h"
#include "tarn/command/command.h"
#include "tarn/net/net.h"
#include "tarn/store/store.h"
#include "tarn/types/types.h"

struct args;
struct sources;

#define CONFIG_LINE_MAX    (1024 * 1024) /* bytes; queries may be long */
#define CONFIG_INCLUDE_MAX 8             /* files open at the same time */

/* Options of the process itself. */
struct process_options {
    char *logfile, *pidfile;
    int loglevel;
    int save, appendonly, daemonize; /* accepted with the only value that is true here */
    int64_t databases;
    int64_t shutdown_timeout_s;
};
extern const struct option_table process_option_table;

struct config_values {
    struct process_options process;
    struct store_options store;
    struct types_options types;
    struct command_options command;
    struct net_options net;
};

/* Who takes over values that CONFIG SET changed. Zeroed: nobody. */
struct config_apply {
    option_apply_fn net, store, command, process;
    void *ctx;
};

/* A set over the tables of all layers; the defaults are in `values`, borrowed for the set's life. 0
 * or -errno. */
int config_values_bind(struct config_values *values, const struct config_apply *apply,
                       struct option_set **out) WARN_UNUSED;

/* A line for the source layer, kept until that layer exists. */
struct config_directive {
    char *where;          /* owned; "tarn.conf:12" */
    struct strview *argv; /* owned, and the bytes behind it */
    int argc;
};

struct config {
    struct option_set *options;          /* borrowed */
    struct config_directive *directives; /* owned */
    size_t directives_count, directives_cap;
};

/* What went wrong, as exit codes of the process. */
enum config_result {
    CONFIG_OK = 0,
    CONFIG_BAD_FILE = 1, /* the text names file and line */
    CONFIG_BAD_ARGS = 2, /* the text names the option */
    CONFIG_NO_MEMORY = 3,
};

/* The file (and those it includes), then the arguments. */
enum config_result config_load(struct config *c, const struct args *args,
                               struct errtext *err) WARN_UNUSED;

/* Reads lines from `f`, which is called `name` in messages; `include` opens further files. `f` is
 * closed. */
enum config_result config_load_stream(struct config *c, FILE *f, const char *name,
                                      struct errtext *err) WARN_UNUSED;

/* Hands the kept directives to the source layer, in order. */
enum config_result config_apply_directives(struct config *c, struct sources *sources,
                                           struct errtext *err) WARN_UNUSED;

void config_fini(struct config *c);

#endif
