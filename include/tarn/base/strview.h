/*
 * Borrowed bytes with a length: keys, values, arguments. Never NUL-terminated by contract; the
 * owner and the lifetime are stated where a view is handed out.
 */
#ifndef TARN_BASE_STRVIEW_H
#define TARN_BASE_STRVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct strview {
    const char *data; /* borrowed; may be NULL when len is 0 */
    size_t len;
};

/* "%.*s" with STRVIEW_ARG(v); for text that is known to be short and printable. */
#define STRVIEW_ARG(v) (int)(v).len, (v).data ? (v).data : ""

static inline struct strview strview_of(const void *data, size_t len)
{
    return (struct strview){.data = data, .len = len};
}

/* A view of a NUL-terminated string, without the NUL. */
static inline struct strview strview_str(const char *s)
{
    return (struct strview){.data = s, .len = strlen(s)};
}

static inline bool strview_eq(struct strview a, struct strview b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ASCII case is ignored; other bytes compare as they are. `s` is a NUL-terminated literal. */
bool strview_eq_nocase(struct strview a, const char *s);

bool strview_starts_with(struct strview a, struct strview prefix);

/* Distance of a word from another (insertions, deletions, substitutions, neighbour swaps), for "did
 * you mean". Words longer than 64 bytes are as far as can be: returns 64. */
unsigned strview_distance(struct strview a, struct strview b);

/* True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF). */
bool strview_is_utf8(struct strview v);

#endif
