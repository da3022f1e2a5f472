/*
 * JSON writing and checking without recursion: the checker keeps one bit per open array or object,
 * so nesting costs bits, not stack.
 */
#include "json.h"

#include <stdint.h>

/* ---- writing --------------------------------------------------------------------------------- */

static const char hex_digits[] = "0123456789abcdef";

static void write_escaped(struct buf *out, unsigned char c)
{
    static const char short_form[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char escaped[6] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};
    size_t len = sizeof(escaped);
    if (c >= 32) {
        escaped[1] = (char)c; /* a quote or a backslash */
        len = 2;
    } else if (short_form[c] != '\0') {
        escaped[1] = short_form[c];
        len = 2;
    }
    buf_append(out, escaped, len);
}

void json_write_string(struct buf *out, struct strview text)
{
    buf_append_char(out, '"');
    size_t plain = 0; /* start of the stretch that needs no escape */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 32 || c == '"' || c == '\\') {
            buf_append(out, text.data + plain, i - plain);
            write_escaped(out, c);
            plain = i + 1;
        }
    }
    if (plain < text.len) {
        buf_append(out, text.data + plain, text.len - plain);
    }
    buf_append_char(out, '"');
}

void json_write_base64(struct buf *out, struct strview bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.data;
    buf_append_char(out, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = size_min(3, bytes.len - i);
        uint32_t group = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                         (n > 2 ? (uint32_t)p[i + 2] : 0);
        char quad[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        n > 1 ? digits[group >> 6 & 63] : '=', n > 2 ? digits[group & 63] : '='};
        buf_append(out, quad, sizeof(quad));
    }
    buf_append_char(out, '"');
}

void json_write_hex(struct buf *out, struct strview bytes)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        char pair[2] = {hex_digits[c >> 4], hex_digits[c & 15]};
        buf_append(out, pair, sizeof(pair));
    }
    buf_append_char(out, '"');
}

/* ---- checking -------------------------------------------------------------------------------- */

struct checker {
    const char *p, *end;
    unsigned depth;
    uint8_t is_object[JSON_DEPTH_MAX / 8]; /* one bit per open array or object */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct checker *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')) {
        c->p++;
    }
}

static bool take(struct checker *c, char what)
{
    if (c->p < c->end && *c->p == what) {
        c->p++;
        return true;
    }
    return false;
}

static bool take_digits(struct checker *c)
{
    const char *start = c->p;
    while (c->p < c->end && is_digit(*c->p)) {
        c->p++;
    }
    return c->p > start;
}

static bool take_number(struct checker *c)
{
    take(c, '-');
    if (!take(c, '0') && !take_digits(c)) {
        return false;
    }
    if (take(c, '.') && !take_digits(c)) {
        return false;
    }
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+')) {
            take(c, '-');
        }
        return take_digits(c);
    }
    return true;
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash. */
static bool take_escape(struct checker *c)
{
    if (c->p == c->end) {
        return false;
    }
    char kind = *c->p++;
    if (kind != 'u') {
        return kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL;
    }
    for (int i = 0; i < 4; i++) {
        if (c->p == c->end || !is_hex(*c->p++)) {
            return false;
        }
    }
    return true;
}

static bool take_string(struct checker *c)
{
    if (!take(c, '"')) {
        return false;
    }
    while (c->p < c->end) {
        unsigned char byte = (unsigned char)*c->p++;
        if (byte == '"') {
            return true;
        }
        if (byte < 32 || (byte == '\\' && !take_escape(c))) {
            return false;
        }
    }
    return false;
}

static bool take_word(struct checker *c, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(c->end - c->p) < len || memcmp(c->p, word, len) != 0) {
        return false;
    }
    c->p += len;
    return true;
}

static bool take_scalar(struct checker *c)
{
    if (c->p == c->end) {
        return false;
    }
    switch (*c->p) {
    case '"':
        return take_string(c);
    case 't':
        return take_word(c, "true");
    case 'f':
        return take_word(c, "false");
    case 'n':
        return take_word(c, "null");
    default:
        return take_number(c);
    }
}

static bool in_object(const struct checker *c)
{
    unsigned i = c->depth - 1;
    return (c->is_object[i / 8] >> (i % 8) & 1) != 0;
}

static bool take_member_name(struct checker *c)
{
    skip_blanks(c);
    if (!take_string(c)) {
        return false;
    }
    skip_blanks(c);
    return take(c, ':');
}

/* An opening bracket. True in *is_open_out: a value has to follow; false: it was closed again at
 * once. */
static bool open_container(struct checker *c, bool is_object, bool *is_open_out)
{
    if (c->depth == JSON_DEPTH_MAX) {
        return false;
    }
    c->p++;
    skip_blanks(c);
    *is_open_out = !take(c, is_object ? '}' : ']');
    if (!*is_open_out) {
        return true;
    }
    unsigned bit = c->depth++;
    c->is_object[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
    c->is_object[bit / 8] |= (uint8_t)(is_object ? 1u << (bit % 8) : 0);
    return !is_object || take_member_name(c);
}

/* Behind a complete value: closes what closes, goes past a comma. True in *wants_value_out: another
 * value follows. */
static bool after_value(struct checker *c, bool *wants_value_out)
{
    *wants_value_out = false;
    while (c->depth > 0) {
        skip_blanks(c);
        if (take(c, ',')) {
            *wants_value_out = true;
            return !in_object(c) || take_member_name(c);
        }
        if (!take(c, in_object(c) ? '}' : ']')) {
            return false;
        }
        c->depth--;
    }
    return true;
}

bool json_is_valid(struct strview text)
{
    if (text.len == 0) {
        return false;
    }
    struct checker c = {.p = text.data, .end = text.data + text.len};
    for (bool wants_value = true; wants_value;) {
        skip_blanks(&c);
        if (c.p < c.end && (*c.p == '{' || *c.p == '[')) {
            bool is_open;
            if (!open_container(&c, *c.p == '{', &is_open)) {
                return false;
            }
            if (is_open) {
                continue;
            }
        } else if (!take_scalar(&c)) {
            return false;
        }
        if (!after_value(&c, &wants_value)) {
            return false;
        }
    }
    skip_blanks(&c);
    return c.p == c.end;
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

/* Length of the well-formed sequence at the front, 0 when it is ill-formed. */
static size_t utf8_len(struct strview s)
{
    unsigned char c = (unsigned char)s.data[0];
    size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    return len <= s.len && strview_is_utf8(strview_of(s.data, len)) ? len : 0;
}

void utf8_replace_invalid(struct buf *out, struct strview text)
{
    while (text.len > 0) {
        size_t len = utf8_len(text);
        if (len > 0) {
            buf_append(out, text.data, len);
        } else {
            buf_append_str(out, "\xef\xbf\xbd");
            len = 1;
        }
        text = strview_of(text.data + len, text.len - len);
    }
}
