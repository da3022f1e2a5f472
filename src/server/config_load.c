/*
 * Configuration files and arguments.
 *
 * A file holds lines of words: a name and its values. Blank lines and lines that begin with # are
 * passed over; words may be quoted as in redis.conf. `include FILE` continues with that file (found
 * from the folder of the file that includes it) and comes back; open files form a stack of bounded
 * depth, so files that include each other are refused and nothing recurses. Arguments are the same
 * lines, written --name value...
 *
 * Options go to the option set at once, later ones over earlier ones. Directives of the source
 * layer (source, map,
 * ...) are kept with the place they stand at and handed on once that layer exists, which needs
 * options to be known.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "config.h"
#include "tarn/base/buf.h"
#include "tarn/proto/resp_parse.h"
#include "tarn/server/args.h"
#include "tarn/source/source.h"

#define WHERE_MAX 320
#define NEAR      2 /* a misspelt directive is this many changes away */

static const char *const directive_names[] = {"source", "source-set", "map", "map-set", "include"};

/* ---- one line -------------------------------------------------------------------------------- */

static bool keep_directive(struct config *c, const char *where, const struct strview *argv,
                           int argc)
{
    if (c->directives_count == c->directives_cap) {
        size_t cap = c->directives_cap > 0 ? 2 * c->directives_cap : 16;
        struct config_directive *more = realloc(c->directives, cap * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        c->directives = more;
        c->directives_cap = cap;
    }
    size_t bytes = 0; /* words of one line that was read: far from any overflow */
    for (int i = 0; i < argc; i++) {
        bytes += argv[i].len;
    }
    struct config_directive d = {.argc = argc, .where = strdup(where)};
    d.argv = malloc((size_t)argc * sizeof(*d.argv) + bytes);
    if (d.where == NULL || d.argv == NULL) {
        free(d.where);
        free(d.argv);
        return false;
    }
    char *at = (char *)(d.argv + argc);
    for (int i = 0; i < argc; i++) {
        if (argv[i].len > 0) {
            memcpy(at, argv[i].data, argv[i].len);
        }
        d.argv[i] = strview_of(at, argv[i].len);
        at += argv[i].len;
    }
    c->directives[c->directives_count++] = d;
    return true;
}

static void say_unknown(const struct config *c, const char *where, struct strview name,
                        struct errtext *err)
{
    const char *near = option_set_suggest(c->options, name);
    for (size_t i = 0; near == NULL && i < ARRAY_LEN(directive_names); i++) {
        if (strview_distance(name, strview_str(directive_names[i])) <= NEAR) {
            near = directive_names[i];
        }
    }
    struct strview shown = strview_of(name.data, size_min(name.len, 64));
    if (near != NULL) {
        errtext_set(err, "%s: unknown option '%.*s'; did you mean '%s'?", where, STRVIEW_ARG(shown),
                    near);
    } else {
        errtext_set(err, "%s: unknown option '%.*s'; see --help", where, STRVIEW_ARG(shown));
    }
}

/* An option: its values, joined by blanks. `where` is for messages; `bad` is what to return for a
 * mistake. */
static enum config_result load_option(struct config *c, const char *where,
                                      const struct strview *argv, int argc, enum config_result bad,
                                      struct errtext *err)
{
    struct buf value;
    buf_init(&value);
    for (int i = 1; i < argc; i++) {
        if ((i > 1 && !buf_append_char(&value, ' ')) || !buf_append_view(&value, argv[i])) {
            buf_fini(&value);
            return CONFIG_NO_MEMORY;
        }
    }
    int result = option_set_load(c->options, argv[0], buf_view(&value), err);
    buf_fini(&value);
    if (result == OPTION_OK) {
        if (argc > 1) {
            return CONFIG_OK;
        }
        errtext_set(err, "the value is missing");
        result = OPTION_BAD;
    }
    if (result < 0) {
        return CONFIG_NO_MEMORY;
    }
    if (result == OPTION_UNKNOWN) {
        say_unknown(c, where, argv[0], err);
    } else {
        errtext_prefix(err, "%s: %.*s", where, STRVIEW_ARG(argv[0]));
    }
    return bad;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct open_file {
    FILE *f;    /* owned */
    char *name; /* owned */
    unsigned line;
};

struct reader {
    struct open_file stack[CONFIG_INCLUDE_MAX];
    size_t depth;
    char *line; /* owned, getline's */
    size_t line_cap;
    struct resp_request words;
};

static void pop_file(struct reader *r)
{
    assert(r->depth > 0);
    struct open_file *top = &r->stack[--r->depth];
    fclose(top->f);
    free(top->name);
}

/* Takes over `f`. */
static enum config_result push_file(struct reader *r, FILE *f, char *name)
{
    assert(r->depth < CONFIG_INCLUDE_MAX);
    if (name == NULL) {
        fclose(f);
        return CONFIG_NO_MEMORY;
    }
    r->stack[r->depth++] = (struct open_file){.f = f, .name = name};
    return CONFIG_OK;
}

/* The path as the file `from` means it: relative to its own folder. Owned by the caller. */
static char *resolve_path(const char *from, struct strview path)
{
    const char *slash = strrchr(from, '/');
    size_t folder = path.data[0] == '/' || slash == NULL ? 0 : (size_t)(slash - from) + 1;
    char *full = malloc(folder + path.len + 1);
    if (full != NULL) {
        memcpy(full, from, folder);
        memcpy(full + folder, path.data, path.len);
        full[folder + path.len] = '\0';
    }
    return full;
}

static enum config_result include_file(struct reader *r, const char *where,
                                       const struct strview *argv, int argc, struct errtext *err)
{
    if (argc != 2 || argv[1].len == 0) {
        errtext_set(err, "%s: include takes the name of one file", where);
        return CONFIG_BAD_FILE;
    }
    if (r->depth == CONFIG_INCLUDE_MAX) {
        errtext_set(err, "%s: more than %d files include each other", where, CONFIG_INCLUDE_MAX);
        return CONFIG_BAD_FILE;
    }
    char *path = resolve_path(r->stack[r->depth - 1].name, argv[1]);
    if (path == NULL) {
        return CONFIG_NO_MEMORY;
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        errtext_set(err, "%s: cannot read %s: %s", where, path, strerror(errno));
        free(path);
        return CONFIG_BAD_FILE;
    }
    return push_file(r, f, path);
}

static enum config_result load_line(struct config *c, struct reader *r, struct strview line,
                                    struct errtext *err)
{
    struct open_file *top = &r->stack[r->depth - 1];
    char where[WHERE_MAX];
    (void)snprintf(where, sizeof(where), "%.300s:%u", top->name, top->line);
    while (line.len > 0 && strchr(" \t\r\n", line.data[line.len - 1]) != NULL) {
        line.len--;
    }
    size_t blanks = 0;
    while (blanks < line.len && (line.data[blanks] == ' ' || line.data[blanks] == '\t')) {
        blanks++;
    }
    line = strview_of(line.data + blanks, line.len - blanks);
    if (line.len == 0 || line.data[0] == '#') {
        return CONFIG_OK;
    }
    int argc = resp_split_words(line, &r->words);
    if (argc == -1) {
        errtext_set(err, "%s: unbalanced quotes", where);
        return CONFIG_BAD_FILE;
    }
    if (argc < 0) {
        return CONFIG_NO_MEMORY;
    }
    const struct strview *argv = r->words.argv;
    if (argc == 0) {
        return CONFIG_OK;
    }
    if (strview_eq_nocase(argv[0], "include")) {
        return include_file(r, where, argv, argc, err);
    }
    if (sources_is_directive(argv[0])) {
        return keep_directive(c, where, argv, argc) ? CONFIG_OK : CONFIG_NO_MEMORY;
    }
    return load_option(c, where, argv, argc, CONFIG_BAD_FILE, err);
}

static enum config_result load_lines(struct config *c, struct reader *r, struct errtext *err)
{
    while (r->depth > 0) {
        struct open_file *top = &r->stack[r->depth - 1];
        errno = 0;
        ssize_t n = getline(&r->line, &r->line_cap, top->f);
        if (n < 0 && ferror(top->f) == 0 && errno != ENOMEM) {
            pop_file(r);
            continue;
        }
        top->line++;
        if (n < 0) {
            errtext_set(err, "%s:%u: %s", top->name, top->line, strerror(errno));
            return CONFIG_BAD_FILE;
        }
        if (n > CONFIG_LINE_MAX) {
            errtext_set(err, "%s:%u: the line is longer than %d bytes", top->name, top->line,
                        CONFIG_LINE_MAX);
            return CONFIG_BAD_FILE;
        }
        enum config_result result = load_line(c, r, strview_of(r->line, (size_t)n), err);
        if (result != CONFIG_OK) {
            return result;
        }
    }
    return CONFIG_OK;
}

enum config_result config_load_stream(struct config *c, FILE *f, const char *name,
                                      struct errtext *err)
{
    struct reader r = {0};
    enum config_result result = push_file(&r, f, strdup(name));
    if (result == CONFIG_OK) {
        result = load_lines(c, &r, err);
    }
    while (r.depth > 0) {
        pop_file(&r);
    }
    free(r.line);
    resp_request_fini(&r.words);
    return result;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static bool is_flag(const char *word)
{
    return strcmp(word, "--check-config") == 0 || strcmp(word, "--help") == 0 ||
           strcmp(word, "--version") == 0;
}

static enum config_result load_args(struct config *c, const struct args *args, struct errtext *err)
{
    struct strview *argv = malloc((size_t)(args->count + 1) * sizeof(*argv));
    if (argv == NULL) {
        return CONFIG_NO_MEMORY;
    }
    enum config_result result = CONFIG_OK;
    for (int i = 0; i < args->count && result == CONFIG_OK;) {
        assert(strncmp(args->words[i], "--", 2) == 0);
        if (is_flag(args->words[i])) {
            i++;
            continue;
        }
        argv[0] = strview_str(args->words[i++] + 2);
        int argc = 1;
        while (i < args->count && strncmp(args->words[i], "--", 2) != 0) {
            argv[argc++] = strview_str(args->words[i++]);
        }
        const char *where = "command line";
        if (sources_is_directive(argv[0])) {
            result = keep_directive(c, where, argv, argc) ? CONFIG_OK : CONFIG_NO_MEMORY;
        } else {
            result = load_option(c, where, argv, argc, CONFIG_BAD_ARGS, err);
        }
    }
    free(argv);
    return result;
}

/* ---- whole ----------------------------------------------------------------------------------- */

enum config_result config_load(struct config *c, const struct args *args, struct errtext *err)
{
    if (args->config_file != NULL) {
        bool is_stdin = strcmp(args->config_file, "-") == 0;
        FILE *f = is_stdin ? stdin : fopen(args->config_file, "re");
        if (f == NULL) {
            errtext_set(err, "cannot read %s: %s", args->config_file, strerror(errno));
            return CONFIG_BAD_FILE;
        }
        enum config_result result = config_load_stream(c, f, is_stdin ? "stdin" : args->config_file,
                                                       err);
        if (result != CONFIG_OK) {
            return result;
        }
    }
    return load_args(c, args, err);
}

enum config_result config_apply_directives(struct config *c, struct sources *sources,
                                           struct errtext *err)
{
    for (size_t i = 0; i < c->directives_count; i++) {
        const struct config_directive *d = &c->directives[i];
        int result = sources_directive(sources, d->argv, d->argc, err);
        if (result == -ENOMEM) {
            return CONFIG_NO_MEMORY;
        }
        if (result < 0) {
            errtext_prefix(err, "%s", d->where);
            return CONFIG_BAD_FILE;
        }
    }
    return CONFIG_OK;
}

void config_fini(struct config *c)
{
    for (size_t i = 0; i < c->directives_count; i++) {
        free(c->directives[i].where);
        free(c->directives[i].argv);
    }
    free(c->directives);
    c->directives = NULL;
    c->directives_count = c->directives_cap = 0;
}
