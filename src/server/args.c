/*
 * The command line, --help and --version. The list of options in --help is made from the option
 * tables, so it cannot be out of date.
 */
#include "tarn/server/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ev.h>

#include "config.h"
#include "tarn/base/option.h"
#include "tarn/source/source.h"
#include "tarn/base/strview.h"
#include "version.h"

int args_parse(struct args *out, int argc, char **argv, struct errtext *err)
{
    *out = (struct args){.executable = argc > 0 ? argv[0] : "tarn"};
    int i = 1;
    if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "-v") == 0)) {
        out->action = argv[1][1] == 'h' ? ARGS_HELP : ARGS_VERSION;
        return 0;
    }
    if (argc > 1 && strncmp(argv[1], "--", 2) != 0) {
        if (argv[1][0] == '-' && argv[1][1] != '\0') {
            errtext_set(err, "unknown option '%s'; options begin with two dashes, see --help",
                        argv[1]);
            return -EINVAL;
        }
        out->config_file = argv[1];
        i = 2;
    }
    if (i < argc && strncmp(argv[i], "--", 2) != 0) {
        errtext_set(err, "expected --name value, found '%s'", argv[i]);
        return -EINVAL;
    }
    out->words = argv + i;
    out->count = argc - i;
    for (int k = 0; k < out->count; k++) {
        if (strcmp(out->words[k], "--help") == 0) {
            out->action = ARGS_HELP;
        } else if (strcmp(out->words[k], "--version") == 0) {
            out->action = ARGS_VERSION;
        } else if (strcmp(out->words[k], "--check-config") == 0) {
            out->action = ARGS_CHECK;
        }
    }
    return 0;
}

void args_hide_passwords(const struct args *args)
{
    for (int i = 0; i + 1 < args->count; i++) {
        if (strcmp(args->words[i], "--requirepass") == 0) {
            memset(args->words[i + 1], '*', strlen(args->words[i + 1]));
        }
    }
}

static int print_option(void *ctx, const struct option_table *table, const struct option *option,
                        struct strview value)
{
    const struct option_table **last = ctx;
    if (*last != table) {
        printf("\n%s\n", table->title);
        *last = table;
    }
    const char *def = option->def[0] != '\0' ? option->def : "\"\"";
    (void)value;
    printf("  --%s %s\n", option->name, def);
    printf("        %s%s\n", option->help,
           (option->flags & OPTION_FIXED) != 0 ? " (fixed at start)" : "");
    return 0;
}

static void print_source_option(void *ctx, const char *title, const char *name, const char *def,
                                const char *help)
{
    const char **last = ctx;
    if (*last != title) {
        printf("\n%s\n", title);
        *last = title;
    }
    printf("  %s %s\n        %s\n", name, def != NULL ? def : "-", help);
}

int help_print(void)
{
    struct config_values values = {0};
    const struct config_apply nobody = {0};
    struct option_set *set = NULL;
    int result = config_values_bind(&values, &nobody, &set);
    if (result < 0) {
        return result;
    }
    puts("tarn: an in-memory cache server that speaks the Redis protocol and fills itself from a "
         "database\n"
         "\n"
         "Usage:\n"
         "  tarn [FILE] [--name value]...    serve; FILE holds lines of `name value`, - is "
         "standard input\n"
         "  tarn [FILE] ... --check-config   read the configuration, say whether it is fine, and "
         "end\n"
         "  tarn --help | --version\n"
         "\n"
         "What is given here wins over the file. Every option can be read with CONFIG GET and, "
         "unless it is fixed\n"
         "at start, changed with CONFIG SET. Shown are the defaults.\n"
         "\n"
         "Sources and maps (docs/read-through.md)\n"
         "  --source NAME DRIVER DSN [option value]...\n"
         "        a database to read through to\n"
         "  --source-set NAME option value...\n"
         "        more options of a source\n"
         "  --map NAME SOURCE PATTERN SQL [option value]...\n"
         "        keys that are loaded from a source, and the query that loads them\n"
         "  --map-set NAME option value...\n"
         "        more options of a map");
    const char *title = NULL;
    sources_walk_options(print_source_option, &title);
    const struct option_table *last = NULL;
    (void)option_set_walk(set, print_option, &last);
    option_set_destroy(set);
    return 0;
}

void version_print(void)
{
    printf("tarn %s bits=%zu libev=%d.%d sanitizer=%s\n", TARN_VERSION, 8 * sizeof(void *),
           ev_version_major(), ev_version_minor(), TARN_SANITIZER);
}
