/*
 * The options of the process, and the set of all options.
 */
#include <errno.h>

#include "config.h"
#include "tarn/base/log.h"

static const char *const loglevel_names[] = {"debug",   "verbose", "notice",
                                             "warning", "nothing", NULL};
static const char *const no_names[] = {"no", NULL};
static const char *const nothing_names[] = {"", NULL};

/* clang-format off */
#define FIELD(f) offsetof(struct process_options, f)
static const struct option process_option_rows[] = {
    {.name = "loglevel", .type = OPTION_ENUM, .offset = FIELD(loglevel), .def = "notice", .names = loglevel_names,
     .help = "least important messages to log: debug, verbose, notice, warning, nothing"},
    {.name = "logfile", .type = OPTION_STRING, .offset = FIELD(logfile), .def = "", .flags = OPTION_FIXED,
     .help = "file to append the log to; empty means standard error; SIGUSR1 opens it anew"},
    {.name = "pidfile", .type = OPTION_STRING, .offset = FIELD(pidfile), .def = "", .flags = OPTION_FIXED,
     .help = "file to write the process id to while serving"},
    {.name = "shutdown-timeout", .type = OPTION_INT, .offset = FIELD(shutdown_timeout_s), .def = "10", .min = 0,
     .max = 86400, .help = "seconds that clients have at the end to take their replies"},
    {.name = "databases", .type = OPTION_INT, .offset = FIELD(databases), .def = "16", .min = STORE_DATABASES,
     .max = STORE_DATABASES, .flags = OPTION_FIXED, .help = "number of databases; always 16"},
    {.name = "save", .type = OPTION_ENUM, .offset = FIELD(save), .def = "", .names = nothing_names,
     .help = "always empty: a cache keeps nothing on disk"},
    {.name = "appendonly", .type = OPTION_ENUM, .offset = FIELD(appendonly), .def = "no", .names = no_names,
     .help = "always no: a cache keeps nothing on disk"},
    {.name = "daemonize", .type = OPTION_ENUM, .offset = FIELD(daemonize), .def = "no", .names = no_names,
     .flags = OPTION_FIXED, .help = "always no: serves in the foreground, under systemd or a container"},
};
#undef FIELD
/* clang-format on */

const struct option_table process_option_table = {
    .title = "Process", .rows = process_option_rows, .count = ARRAY_LEN(process_option_rows)};

int config_values_bind(struct config_values *values, const struct config_apply *apply,
                       struct option_set **out)
{
    struct option_set *set = NULL;
    int result = option_set_create(&set);
    if (result < 0) {
        return result;
    }
    const struct {
        const struct option_table *table;
        void *values;
        option_apply_fn apply;
    } parts[] = {
        {&net_option_table, &values->net, apply->net},
        {&store_option_table, &values->store, apply->store},
        {&types_option_table, &values->types, NULL}, /* read where they are used */
        {&command_option_table, &values->command, apply->command},
        {&process_option_table, &values->process, apply->process},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        result = option_set_add(set, parts[i].table, parts[i].values, parts[i].apply, apply->ctx);
        if (result < 0) {
            option_set_destroy(set);
            return result;
        }
    }
    *out = set;
    return 0;
}
