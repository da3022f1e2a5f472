/*
 * Reads traces; see trace.h. Words are turned into numbers through an open-addressed table of their
 * hashes: 64 bits are taken for the word itself.
 */
#include "trace.h"

#include "tarn/base/hash.h"
#include "tarn/base/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "bench.h"

#define LINE_MAX_BYTES 4096
#define FIELDS_MIN     3
#define FIELDS_MAX     4
#define HASH_SEED      1
#define ROOM_FIRST     65536

struct numbers {
    uint64_t *hashes; /* 0: free */
    uint32_t *ids;
    size_t room, count;
};

struct reader {
    struct trace *t;
    struct numbers numbers;
    struct hash_key hash_key;
    const char *path;
    size_t line;
    int64_t first_s;
};

void trace_append(struct trace *t, struct request r)
{
    if (t->count == t->room) {
        t->room = t->room > 0 ? t->room * 2 : ROOM_FIRST;
        t->requests = realloc(t->requests, t->room * sizeof(*t->requests));
        if (t->requests == NULL) {
            die("no memory for the trace");
        }
    }
    t->requests[t->count++] = r;
}

void trace_multiply(struct trace *t, uint32_t copies)
{
    if (copies <= 1) {
        return;
    }
    if (t->keys > UINT32_MAX / copies) {
        die("too many copies");
    }
    struct trace many = {.keys = t->keys * copies, .footprint = t->footprint * copies};
    memcpy(many.name, t->name, sizeof(many.name));
    for (size_t i = 0; i < t->count; i++) {
        for (uint32_t c = 0; c < copies; c++) {
            struct request r = t->requests[i];
            r.key = r.key * copies + c;
            trace_append(&many, r);
        }
    }
    trace_free(t);
    *t = many;
}

void trace_free(struct trace *t)
{
    free(t->requests);
    *t = (struct trace){0};
}

/* Where the hash is or belongs. */
static size_t place_of(const struct numbers *n, uint64_t hash)
{
    size_t at = hash & (n->room - 1);
    while (n->hashes[at] != 0 && n->hashes[at] != hash) {
        at = (at + 1) & (n->room - 1);
    }
    return at;
}

static void numbers_grow(struct numbers *n)
{
    struct numbers old = *n;
    n->room = old.room > 0 ? old.room * 2 : ROOM_FIRST;
    n->hashes = calloc(n->room, sizeof(*n->hashes));
    n->ids = calloc(n->room, sizeof(*n->ids));
    if (n->hashes == NULL || n->ids == NULL) {
        die("no memory for the keys of the trace");
    }
    for (size_t i = 0; i < old.room; i++) {
        if (old.hashes[i] != 0) {
            size_t at = place_of(n, old.hashes[i]);
            n->hashes[at] = old.hashes[i];
            n->ids[at] = old.ids[i];
        }
    }
    free(old.hashes);
    free(old.ids);
}

static uint32_t number_of(struct reader *r, struct strview word, bool *is_new)
{
    struct numbers *n = &r->numbers;
    if (n->count * 2 >= n->room) {
        numbers_grow(n);
    }
    uint64_t hash = hash_bytes(&r->hash_key, word);
    hash += hash == 0;
    size_t at = place_of(n, hash);
    *is_new = n->hashes[at] == 0;
    if (*is_new) {
        n->hashes[at] = hash;
        n->ids[at] = (uint32_t)n->count++;
    }
    return n->ids[at];
}

/* Splits at blanks and commas; returns how many fields there are. */
static unsigned split(char *line, struct strview fields[FIELDS_MAX])
{
    unsigned n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t,\r\n", &rest); word != NULL && n < FIELDS_MAX;
         word = strtok_r(NULL, " \t,\r\n", &rest)) {
        fields[n++] = strview_str(word);
    }
    return n;
}

static uint32_t clamp_u32(int64_t n, int64_t min)
{
    return (uint32_t)(n < min ? min : n > UINT32_MAX ? UINT32_MAX : n);
}

static void read_line(struct reader *r, char *line)
{
    struct strview fields[FIELDS_MAX];
    unsigned n = split(line, fields);
    if (n == 0 || fields[0].data[0] == '#') {
        return;
    }
    int64_t time_s, size, ttl_s = 0;
    if (n < FIELDS_MIN || !num_parse_i64(fields[0], &time_s) || !num_parse_i64(fields[2], &size) ||
        (n == FIELDS_MAX && !num_parse_i64(fields[3], &ttl_s))) {
        die("%s:%zu: expected `time key size [ttl]`", r->path, r->line);
    }
    if (r->t->count == 0) {
        r->first_s = time_s;
    }
    bool is_new;
    struct request q = {
        .time_s = clamp_u32(time_s - r->first_s, 0),
        .key = number_of(r, fields[1], &is_new),
        .size = clamp_u32(size, 1),
        .ttl_s = clamp_u32(ttl_s, 0),
    };
    r->t->footprint += is_new ? q.size : 0;
    trace_append(r->t, q);
}

static void set_name(struct trace *t, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    (void)snprintf(t->name, sizeof(t->name), "%.*s", (int)strcspn(base, "."), base);
}

void trace_read(struct trace *t, const char *path)
{
    char line[LINE_MAX_BYTES];
    *t = (struct trace){0};
    set_name(t, path);
    gzFile in = gzopen(path, "rb");
    if (in == NULL) {
        die("cannot open %s", path);
    }
    struct reader r = {.t = t, .path = path};
    hash_key_init_seed(&r.hash_key, HASH_SEED);
    while (gzgets(in, line, sizeof(line)) != NULL) {
        r.line++;
        read_line(&r, line);
    }
    int status = Z_OK;
    (void)gzerror(in, &status);
    if (gzclose(in) != Z_OK || (status != Z_OK && status != Z_STREAM_END) || t->count == 0) {
        die("%s is empty or damaged", path);
    }
    t->keys = (uint32_t)r.numbers.count;
    free(r.numbers.hashes);
    free(r.numbers.ids);
}
