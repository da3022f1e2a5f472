/*
 * CONFIG REWRITE.
 *
 * The file is loaded once more into a set of its own; options whose value there is what it is now
 * are left alone, whatever their lines look like. For each other one the last line that names it is
 * written anew, or a line is added at the end. So comments, order and units stay, and a file that
 * says it all already stays as it is to the byte.
 *
 * Sources and maps that came, went or were changed at run time are found in the same way: lines of
 * what is gone go, what is new comes at the end, and each option that was set has a line of its own,
 * `map-set user ttl 10m`. A source that was made anew stays in its place, in front of its maps.
 *
 * An included file is not touched: an option that it sets otherwise gets a line behind the last
 * include of the main file. What is gone and defined there cannot be taken out, which is an error.
 *
 * The new text is read once, as at a start, before it replaces the old.
 *
 * The new text goes to a file beside the old one, which is put in its place when it is on the disk.
 */
#include "config_rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "tarn/base/buf.h"
#include "tarn/proto/resp_parse.h"
#include "tarn/source/source.h"

#define FILE_MAX     ((size_t)64 * 1024 * 1024)
#define FOUND_AT_END SIZE_MAX
#define COMMENT      "# Written by CONFIG REWRITE"

/* A piece of the old text: a line that is replaced, or one that goes. */
struct change {
    const struct option *option; /* NULL: of a source or a map, or a line that goes */
    const char *directive;       /* "source", "map"; NULL: not of those */
    const char *object_option;   /* that was set */
    enum source_difference kind; /* of the source or map */
    char *name;                  /* owned; of the source or map */
    bool is_found;               /* its definition is in the file */
    size_t order;                /* in which it was found */
    struct buf line;
    size_t begin,
        end; /* of the line it replaces, without the end of line; begin FOUND_AT_END: none */
};

/* What a file says. */
struct loaded {
    struct config_values values;
    struct config config;
    struct sources *sources; /* NULL where none are compared */
};

struct rewrite {
    struct buf old, text;
    struct change *changes; /* owned */
    size_t count, cap;
    struct resp_request words;
    bool failed; /* out of memory */
};

/* ---- lines ---- */

/* NULL without memory. */
static struct change *new_change(struct rewrite *r)
{
    if (r->count == r->cap) {
        const size_t cap = r->cap == 0 ? 16 : 2 * r->cap;
        struct change *more = realloc(r->changes, cap * sizeof(*more));
        if (more == NULL) {
            return NULL;
        }
        r->changes = more;
        r->cap = cap;
    }
    struct change *c = &r->changes[r->count];
    *c = (struct change){.begin = FOUND_AT_END, .order = r->count++};
    buf_init(&c->line);
    return c;
}

/* Takes an option that the file says otherwise. */
static int add_change(void *arg, const struct option_table *table, const struct option *option,
                      struct strview value)
{
    struct rewrite *r = arg;
    struct change *c = new_change(r);
    if (c == NULL) {
        return -ENOMEM;
    }
    c->option = option;
    buf_printf(&c->line, "%s ", option->name);
    if (option->type == OPTION_STRINGS && value.len > 0) {
        buf_append_view(&c->line, value);
    } else {
        buf_append_word(&c->line, value);
    }
    return c->line.failed ? -ENOMEM : 0;
}

/* Takes a source or a map that the file says otherwise. */
static int add_object(void *arg, const struct source_change *change)
{
    struct change *c = new_change(arg);
    if (c == NULL) {
        return -ENOMEM;
    }
    c->directive = change->directive;
    c->kind = change->kind;
    c->object_option = change->option;
    c->name = strndup(change->name.data, change->name.len);
    buf_append_view(&c->line, change->kind != SOURCE_IS_GONE ? change->line : strview_of("", 0));
    return c->name == NULL || c->line.failed ? -ENOMEM : 0;
}

/* The words `map-set user ttl 5m` are all there is to the option; or they set it among others, and
 * from then on no earlier line counts. */
static void look_at_set(struct rewrite *r, struct change *c, int argc, size_t begin, size_t end)
{
    const struct strview *argv = r->words.argv;
    for (int i = 2; i < argc; i += 2) {
        if (strview_eq_nocase(argv[i], c->object_option)) {
            c->begin = argc == 4 ? begin : FOUND_AT_END;
            c->end = end;
        }
    }
}

/* A line about a source or a map that changed. True: it goes. */
static bool look_at_object(struct rewrite *r, struct change *c, int argc, size_t begin, size_t end)
{
    const struct strview *argv = r->words.argv;
    const size_t len = strlen(c->directive);
    const bool is_definition = strview_eq_nocase(argv[0], c->directive);
    const bool is_set = argv[0].len == len + 4 &&
                        strview_eq_nocase(strview_of(argv[0].data, len), c->directive) &&
                        strview_eq_nocase(strview_of(argv[0].data + len, 4), "-set");
    if ((!is_definition && !is_set) || argc < 2 || !strview_eq(argv[1], strview_str(c->name))) {
        return false;
    }
    c->is_found = c->is_found || is_definition;
    if (c->kind == SOURCE_HAS_OTHER_OPTION && is_set) {
        look_at_set(r, c, argc, begin, end);
    }
    if (c->kind == SOURCE_IS_OTHER && is_definition && strcmp(c->directive, "source") == 0) {
        c->begin = begin;
        c->end = end;
        return false;
    }
    return c->kind == SOURCE_IS_GONE || c->kind == SOURCE_IS_OTHER;
}

/* The line names something that changed: so far it is the last to do so. */
static void look_at_line(struct rewrite *r, size_t begin, size_t end, size_t next)
{
    const struct strview text = buf_view(&r->old);
    const int argc = resp_split_words(strview_of(text.data + begin, end - begin), &r->words);
    r->failed = r->failed || argc < -1;
    const struct strview name = argc > 0 ? r->words.argv[0] : strview_str("");
    if (name.len == 0 || name.data[0] == '#') {
        return;
    }
    const bool is_include = strview_eq_nocase(name, "include");
    bool goes = false;
    for (size_t i = 0; i < r->count; i++) {
        struct change *c = &r->changes[i];
        if (is_include) {
            c->begin = c->option != NULL || c->object_option != NULL ? FOUND_AT_END : c->begin;
        } else if (c->directive != NULL) {
            goes = look_at_object(r, c, argc, begin, end) || goes;
        } else if (c->option != NULL && strview_eq_nocase(name, c->option->name)) {
            c->begin = begin;
            c->end = end;
        }
    }
    if (goes) {
        struct change *c = new_change(r);
        r->failed = r->failed || c == NULL;
        if (c != NULL) {
            c->begin = begin;
            c->end = next;
        }
    }
}

static bool look_at_lines(struct rewrite *r)
{
    const struct strview text = buf_view(&r->old);
    for (size_t begin = 0; begin < text.len && !r->failed;) {
        const char *newline = memchr(text.data + begin, '\n', text.len - begin);
        const size_t next = newline != NULL ? (size_t)(newline - text.data) + 1 : text.len;
        size_t end = next;
        while (end > begin && strchr("\r\n", text.data[end - 1]) != NULL) {
            end--;
        }
        look_at_line(r, begin, end, next);
        begin = next;
    }
    return !r->failed;
}

static int compare_places(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin)
                                : (x->order > y->order) - (x->order < y->order);
}

static bool has_comment(struct strview text)
{
    const size_t len = strlen(COMMENT);
    for (const char *at = text.data; at != NULL && len <= text.len - (size_t)(at - text.data);) {
        if (memcmp(at, COMMENT, len) == 0) {
            return true;
        }
        at = memchr(at, '\n', text.len - (size_t)(at - text.data));
        at = at != NULL ? at + 1 : NULL;
    }
    return false;
}

/* The old text with its replaced lines, then the new ones. */
static bool compose(struct rewrite *r)
{
    const struct strview old = buf_view(&r->old);
    size_t at = 0, i = 0;
    bool has_new = false;
    if (r->count > 0) {
        qsort(r->changes, r->count, sizeof(*r->changes), compare_places);
    }
    for (; i < r->count && r->changes[i].begin != FOUND_AT_END; i++) {
        const struct change *c = &r->changes[i];
        buf_append(&r->text, old.data + at, c->begin - at);
        buf_append_view(&r->text, buf_view(&c->line));
        at = c->end;
    }
    buf_append(&r->text, old.data + at, old.len - at);
    for (; i < r->count; i++) {
        if (buf_len(&r->changes[i].line) == 0) {
            continue; /* it only took lines out */
        }
        if (!has_new) {
            const struct strview text = buf_view(&r->text);
            buf_append_str(&r->text, text.len > 0 && text.data[text.len - 1] != '\n' ? "\n" : "");
            buf_append_str(&r->text, has_comment(old) ? "" : "\n" COMMENT "\n");
            has_new = true;
        }
        buf_append_view(&r->text, buf_view(&r->changes[i].line));
        buf_append_char(&r->text, '\n');
    }
    return !r->text.failed;
}

/* What is gone or made anew and not defined in this file is so in one that it includes. */
static bool check_found(const struct rewrite *r, struct errtext *err)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct change *c = &r->changes[i];
        const bool must_go = c->kind == SOURCE_IS_GONE || c->kind == SOURCE_IS_OTHER;
        if (c->directive != NULL && must_go && !c->is_found) {
            errtext_set(err, "%s '%s' is defined in an included file", c->directive, c->name);
            return false;
        }
    }
    return true;
}

/* ---- files ---- */

static int read_old(const char *path, struct rewrite *r, struct errtext *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0) {
        if (buf_len(&r->old) > FILE_MAX) {
            errno = EFBIG;
            n = -1;
        } else if (!buf_reserve(&r->old, 64 * 1024)) {
            errno = ENOMEM;
            n = -1;
        } else {
            n = read(fd, buf_tail(&r->old), 64 * 1024);
            buf_commit(&r->old, n > 0 ? (size_t)n : 0);
        }
    }
    if (n < 0) {
        errtext_set(err, "%s", strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return n < 0 ? -1 : 0;
}

static void unload(struct loaded *l)
{
    sources_destroy(l->sources);
    config_fini(&l->config);
    option_set_destroy(l->config.options);
}

/* Reads a file, which is closed, as at a start. 0 or -1 with text; unload() either way. */
static int load(struct loaded *l, FILE *f, const char *path, const struct sources *like,
                struct errtext *err)
{
    *l = (struct loaded){.values = {.process = {.logfile = NULL}}};
    int result = config_values_bind(&l->values, &(struct config_apply){.ctx = NULL},
                                    &l->config.options);
    if (f == NULL || result < 0) {
        errtext_set(err, "%s", strerror(f == NULL ? errno : -result));
        if (f != NULL) {
            (void)fclose(f);
        }
        return -1;
    }
    if (config_load_stream(&l->config, f, path, err) != CONFIG_OK) {
        return -1;
    }
    if (like == NULL) {
        return 0;
    }
    result = sources_create_like(&l->sources, like, err);
    return result == 0 && config_apply_directives(&l->config, l->sources, err) == CONFIG_OK ? 0
                                                                                            : -1;
}

/* What the file says now, against what is. */
static int find_changes(const char *path, const struct option_set *current, struct sources *sources,
                        struct rewrite *r, struct errtext *err)
{
    struct loaded file;
    int result = load(&file, fopen(path, "re"), path, sources, err);
    if (result == 0 &&
        (option_set_compare(current, file.config.options, add_change, r) < 0 ||
         (sources != NULL && sources_compare(sources, file.sources, add_object, r) != 0))) {
        errtext_set(err, "%s", strerror(ENOMEM));
        result = -1;
    }
    unload(&file);
    return result;
}

/* Would a server start with the new text? */
static int check_text(const char *path, const struct sources *sources, struct rewrite *r,
                      struct errtext *err)
{
    const struct strview text = buf_view(&r->text);
    struct loaded file;
    if (text.len == 0) {
        return 0;
    }
    const int result = load(&file, fmemopen(r->text.data, text.len, "r"), path, sources, err);
    unload(&file);
    if (result != 0) {
        errtext_prefix(err, "the new file would be refused");
    }
    return result;
}

static bool write_all(int fd, struct strview text)
{
    for (size_t at = 0; at < text.len;) {
        const ssize_t n = write(fd, text.data + at, text.len - at);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The name of a file is on the disk when its folder is. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    memcpy(folder, path, len);
    memcpy(folder + len, ".", 2);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot; the new file is whole either way */
        (void)close(fd);
    }
}

/* `path` is the file itself, no link to it. 0 or -1 with errno. */
static int replace_file(const char *path, struct strview text)
{
    char temporary[PATH_MAX + 32];
    struct stat old;
    (void)snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid());
    if (stat(path, &old) != 0) {
        return -1;
    }
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    (void)!fchown(fd, old.st_uid, old.st_gid); /* only root can give files away */
    bool is_written = fchmod(fd, old.st_mode & 07777) == 0 && write_all(fd, text) && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written;
    if (!is_written || rename(temporary, path) != 0) {
        const int why = errno;
        (void)unlink(temporary);
        errno = why;
        return -1;
    }
    sync_folder(path);
    return 0;
}

int config_rewrite(const char *path, const struct option_set *current, struct sources *sources,
                   struct errtext *err)
{
    struct rewrite r = {.count = 0};
    char file[PATH_MAX];
    int result = -1;
    if (realpath(path, file) == NULL) {
        errtext_set(err, "%s", strerror(errno));
    } else if (read_old(file, &r, err) == 0 && find_changes(file, current, sources, &r, err) == 0) {
        const bool is_made = look_at_lines(&r) && compose(&r);
        if (!is_made) {
            errtext_set(err, "%s", strerror(ENOMEM));
        } else if (check_found(&r, err) && check_text(file, sources, &r, err) == 0) {
            result = replace_file(file, buf_view(&r.text));
            if (result != 0) {
                errtext_set(err, "%s", strerror(errno));
            }
        }
    }
    for (size_t i = 0; i < r.count; i++) {
        buf_fini(&r.changes[i].line);
        free(r.changes[i].name);
    }
    free(r.changes);
    buf_fini(&r.old);
    buf_fini(&r.text);
    resp_request_fini(&r.words);
    return result;
}
