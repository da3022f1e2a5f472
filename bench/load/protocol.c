/*
 * A reply is a line, or a line, a value and a trailer (CRLF, and in memcached's protocol a last
 * line END). The line is collected, because it is short; the value and the trailer are compared as
 * they come.
 */
#include "protocol.h"

#include "keys.h"

#include "tarn/base/compiler.h"
#include "tarn/base/num.h"

#include <assert.h>
#include <string.h>

#define MEMCACHED_MS_PER_S 1000

/* Everything before a key, and everything between a key and the length of its value. */
#define RESP_GET    "*2\r\n$3\r\nGET\r\n$16\r\n"
#define RESP_SET    "*3\r\n$3\r\nSET\r\n$16\r\n"
#define RESP_SET_PX "*5\r\n$3\r\nSET\r\n$16\r\n"
static_assert(KEY_BYTES == 16, "the length of a key is written into the templates");

static bool resp_put_get(struct buf *out, const char *key)
{
    return buf_append_str(out, RESP_GET) && buf_append(out, key, KEY_BYTES) &&
           buf_append_str(out, "\r\n");
}

static bool resp_put_set(struct buf *out, const char *key, struct strview value, uint64_t ttl_ms)
{
    bool fine = buf_append_str(out, ttl_ms == 0 ? RESP_SET : RESP_SET_PX) &&
                buf_append(out, key, KEY_BYTES) && buf_append_str(out, "\r\n$") &&
                buf_append_u64(out, value.len) && buf_append_str(out, "\r\n") &&
                buf_append_view(out, value) && buf_append_str(out, "\r\n");
    if (fine && ttl_ms != 0) {
        char digits[NUM_I64_CHARS];
        size_t len = num_format_u64(digits, ttl_ms);
        fine = buf_append_str(out, "$2\r\nPX\r\n$") && buf_append_u64(out, len) &&
               buf_append_str(out, "\r\n") && buf_append(out, digits, len) &&
               buf_append_str(out, "\r\n");
    }
    return fine;
}

static enum line_kind resp_line(struct strview line, size_t *body_len)
{
    int64_t len;
    if (line.len == 0) {
        return LINE_BROKEN;
    }
    switch (line.data[0]) {
    case '+':
    case ':':
        return LINE_OK;
    case '_':
        return LINE_MISS;
    case '-':
        return LINE_ERROR;
    case '$':
        if (!num_parse_i64(strview_of(line.data + 1, line.len - 1), &len) || len < -1) {
            return LINE_BROKEN;
        }
        *body_len = len < 0 ? 0 : (size_t)len;
        return len < 0 ? LINE_MISS : LINE_VALUE;
    default:
        return LINE_BROKEN;
    }
}

const struct protocol protocol_resp = {
    .name = "resp",
    .put_get = resp_put_get,
    .put_set = resp_put_set,
    .line = resp_line,
    .trailer = "\r\n",
};

static bool memcached_put_get(struct buf *out, const char *key)
{
    return buf_append_str(out, "get ") && buf_append(out, key, KEY_BYTES) &&
           buf_append_str(out, "\r\n");
}

/* Expiry is in whole seconds there; less than one is rounded up, 0 is none. */
static bool memcached_put_set(struct buf *out, const char *key, struct strview value,
                              uint64_t ttl_ms)
{
    return buf_append_str(out, "set ") && buf_append(out, key, KEY_BYTES) &&
           buf_append_str(out, " 0 ") &&
           buf_append_u64(out, (ttl_ms + MEMCACHED_MS_PER_S - 1) / MEMCACHED_MS_PER_S) &&
           buf_append_char(out, ' ') && buf_append_u64(out, value.len) &&
           buf_append_str(out, "\r\n") && buf_append_view(out, value) &&
           buf_append_str(out, "\r\n");
}

static enum line_kind memcached_line(struct strview line, size_t *body_len)
{
    if (strview_eq(line, strview_str("STORED"))) {
        return LINE_OK;
    }
    if (strview_eq(line, strview_str("END"))) {
        return LINE_MISS;
    }
    if (strview_starts_with(line, strview_str("VALUE "))) {
        const char *last = memrchr(line.data, ' ', line.len);
        uint64_t len;
        size_t digits = (size_t)(line.data + line.len - last - 1);
        if (!num_parse_u64(strview_of(last + 1, digits), &len)) {
            return LINE_BROKEN;
        }
        *body_len = (size_t)len;
        return LINE_VALUE;
    }
    bool is_error = strview_starts_with(line, strview_str("SERVER_ERROR")) ||
                    strview_starts_with(line, strview_str("CLIENT_ERROR")) ||
                    strview_eq(line, strview_str("ERROR")) ||
                    strview_eq(line, strview_str("NOT_STORED"));
    return is_error ? LINE_ERROR : LINE_BROKEN;
}

const struct protocol protocol_memcached = {
    .name = "memcached",
    .put_get = memcached_put_get,
    .put_set = memcached_put_set,
    .line = memcached_line,
    .trailer = "\r\nEND\r\n",
};

const struct protocol *protocol_find(const char *name)
{
    static const struct protocol *const all[] = {&protocol_resp, &protocol_memcached};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}

/* Takes from `in` up to the end of the line. True when the line is complete; without CRLF it is
 * then in r->line, NUL-terminated. A line that is too long stays incomplete and full. */
static bool read_line(struct reply_reader *r, struct strview in, size_t *used)
{
    const char *end = memchr(in.data, '\n', in.len);
    size_t n = end != NULL ? (size_t)(end - in.data) + 1 : in.len;
    size_t room = REPLY_LINE_MAX - r->line_len;
    memcpy(r->line + r->line_len, in.data, size_min(n, room));
    r->line_len += size_min(n, room);
    *used = n;
    if (end == NULL || n > room || r->line_len < 2 || r->line[r->line_len - 2] != '\r') {
        return false;
    }
    r->line_len -= 2;
    r->line[r->line_len] = '\0';
    return true;
}

/* Compares what `in` has of the bytes that should come; true when they are all there. */
static bool read_expected(struct reply_reader *r, struct strview in, struct strview expected,
                          size_t *used)
{
    size_t n = size_min(in.len, expected.len - r->at);
    r->is_wrong = r->is_wrong || memcmp(in.data, expected.data + r->at, n) != 0;
    r->at += n;
    *used += n;
    return r->at == expected.len;
}

/* A value of another length than expected cannot be right, but has to be passed over. */
static bool read_value(struct reply_reader *r, struct strview in, struct strview expected,
                       size_t *used)
{
    if (r->value_len == expected.len) {
        return read_expected(r, in, expected, used);
    }
    size_t n = size_min(in.len, r->value_len - r->at);
    r->is_wrong = true;
    r->at += n;
    *used += n;
    return r->at == r->value_len;
}

static enum reply begin(struct reply_reader *r, const struct protocol *p)
{
    size_t len = r->line_len;
    r->line_len = 0;
    switch (p->line(strview_of(r->line, len), &r->value_len)) {
    case LINE_OK:
        return REPLY_OK;
    case LINE_MISS:
        return REPLY_MISS;
    case LINE_ERROR:
        return REPLY_ERROR;
    case LINE_BROKEN:
        return REPLY_BROKEN;
    case LINE_VALUE:
        break;
    }
    r->state = READ_VALUE;
    r->is_wrong = false;
    r->at = 0;
    return REPLY_MORE;
}

enum reply reply_read(struct reply_reader *r, const struct protocol *p, struct strview in,
                      struct strview expected, size_t *used)
{
    *used = 0;
    if (r->state == READ_LINE) {
        if (in.len == 0 || !read_line(r, in, used)) {
            bool is_full = r->line_len == REPLY_LINE_MAX;
            return is_full || (*used > 0 && in.data[*used - 1] == '\n') ? REPLY_BROKEN : REPLY_MORE;
        }
        enum reply reply = begin(r, p);
        if (reply != REPLY_MORE) {
            return reply;
        }
    }
    if (r->state == READ_VALUE) {
        if (!read_value(r, strview_of(in.data + *used, in.len - *used), expected, used)) {
            return REPLY_MORE;
        }
        r->state = READ_TRAILER;
        r->at = 0;
    }
    struct strview trailer = strview_str(p->trailer);
    bool was_wrong = r->is_wrong;
    r->is_wrong = false;
    bool is_complete = read_expected(r, strview_of(in.data + *used, in.len - *used), trailer, used);
    if (r->is_wrong) {
        return REPLY_BROKEN;
    }
    r->is_wrong = was_wrong;
    if (!is_complete) {
        return REPLY_MORE;
    }
    r->state = READ_LINE;
    return was_wrong ? REPLY_WRONG : REPLY_VALUE;
}
