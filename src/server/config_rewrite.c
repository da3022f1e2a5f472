/*
 * CONFIG REWRITE.
 *
 * The file is loaded once more into a set of its own; options whose value there is what it is now
 * are left alone, whatever their lines look like. For each other one the last line that names it is
 * written anew, or a line is added at the end. So comments, order, units and directives of sources
 * stay, and a file that says it all already stays as it is to the byte.
 *
 * An included file is not touched: an option that it sets otherwise gets a line behind the last
 * include of the main file.
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

#define FILE_MAX     ((size_t)64 * 1024 * 1024)
#define FOUND_AT_END SIZE_MAX
#define COMMENT      "# Written by CONFIG REWRITE"

/* A piece of the old text, in order of their places: a line that is replaced. */
struct change {
    const struct option *option;
    struct buf line;
    size_t begin,
        end; /* of the line it replaces, without the end of line; begin FOUND_AT_END: none */
};

struct rewrite {
    struct buf old, text;
    struct change *changes; /* owned */
    size_t count, cap;
    struct resp_request words;
    bool failed; /* out of memory */
};

/* ---- lines ---- */

/* Takes an option that the file says otherwise. */
static int add_change(void *arg, const struct option_table *table, const struct option *option,
                      struct strview value)
{
    struct rewrite *r = arg;
    if (r->count == r->cap) {
        const size_t cap = r->cap == 0 ? 16 : 2 * r->cap;
        struct change *more = realloc(r->changes, cap * sizeof(*more));
        if (more == NULL) {
            return -ENOMEM;
        }
        r->changes = more;
        r->cap = cap;
    }
    struct change *c = &r->changes[r->count++];
    *c = (struct change){.option = option, .begin = FOUND_AT_END};
    buf_init(&c->line);
    buf_printf(&c->line, "%s ", option->name);
    if (option->type == OPTION_STRINGS && value.len > 0) {
        buf_append_view(&c->line, value);
    } else {
        buf_append_word(&c->line, value);
    }
    return c->line.failed ? -ENOMEM : 0;
}

/* The line names an option that changed: so far it is the last to do so. */
static void look_at_line(struct rewrite *r, size_t begin, size_t end)
{
    const struct strview text = buf_view(&r->old);
    const int argc = resp_split_words(strview_of(text.data + begin, end - begin), &r->words);
    r->failed = r->failed || argc < -1;
    const struct strview name = argc > 0 ? r->words.argv[0] : strview_str("");
    if (name.len == 0 || name.data[0] == '#') {
        return;
    }
    const bool is_include = strview_eq_nocase(name, "include");
    for (size_t i = 0; i < r->count; i++) {
        struct change *c = &r->changes[i];
        if (is_include) {
            c->begin = FOUND_AT_END;
        } else if (strview_eq_nocase(name, c->option->name)) {
            c->begin = begin;
            c->end = end;
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
        look_at_line(r, begin, end);
        begin = next;
    }
    return !r->failed;
}

static int compare_places(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
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
    if (i < r->count) {
        const struct strview text = buf_view(&r->text);
        buf_append_str(&r->text, text.len > 0 && text.data[text.len - 1] != '\n' ? "\n" : "");
        buf_append_str(&r->text, has_comment(old) ? "" : "\n" COMMENT "\n");
    }
    for (; i < r->count; i++) {
        buf_append_view(&r->text, buf_view(&r->changes[i].line));
        buf_append_char(&r->text, '\n');
    }
    return !r->text.failed;
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

/* What the file says now, against what is. */
static int find_changes(const char *path, const struct option_set *current, struct rewrite *r,
                        struct errtext *err)
{
    struct config_values values = {.process = {.logfile = NULL}};
    struct config config = {.directives = NULL};
    int result = config_values_bind(&values, &(struct config_apply){.ctx = NULL}, &config.options);
    if (result < 0) {
        errtext_set(err, "%s", strerror(-result));
        return -1;
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        errtext_set(err, "%s", strerror(errno));
        result = -1;
    } else if (config_load_stream(&config, f, path, err) != CONFIG_OK) {
        result = -1;
    } else if (option_set_compare(current, config.options, add_change, r) < 0) {
        errtext_set(err, "%s", strerror(ENOMEM));
        result = -1;
    }
    config_fini(&config);
    option_set_destroy(config.options);
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

int config_rewrite(const char *path, const struct option_set *current, struct errtext *err)
{
    struct rewrite r = {.count = 0};
    char file[PATH_MAX];
    int result = -1;
    if (realpath(path, file) == NULL) {
        errtext_set(err, "%s", strerror(errno));
    } else if (read_old(file, &r, err) == 0 && find_changes(file, current, &r, err) == 0) {
        if (!look_at_lines(&r) || !compose(&r)) {
            errtext_set(err, "%s", strerror(ENOMEM));
        } else if (replace_file(file, buf_view(&r.text)) != 0) {
            errtext_set(err, "%s", strerror(errno));
        } else {
            result = 0;
        }
    }
    for (size_t i = 0; i < r.count; i++) {
        buf_fini(&r.changes[i].line);
    }
    free(r.changes);
    buf_fini(&r.old);
    buf_fini(&r.text);
    resp_request_fini(&r.words);
    return result;
}
