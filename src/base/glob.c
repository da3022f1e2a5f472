/*
 * Patterns, without recursion.
 *
 * The pattern is a row of elements: a literal byte, an escaped byte, "?", a class, or a star.
 * Between two stars everything has a fixed length, so once the elements up to a star have matched,
 * taking the leftmost place for them loses no match: an earlier star never has to be tried again.
 * Hence one pair of marks (the last star, and where its text began) is all the state there is, and
 * the work is bounded by elements x bytes.
 *
 * Oddities kept from Redis: a class that is not closed ends with the pattern; a range may be
 * written backwards; a backslash at the end stands for itself; an escaped byte inside a class keeps
 * its case even where case is ignored. Bytes are compared unsigned.
 */
#include "tarn/base/glob.h"

#include "glob_steps.h"

struct matcher {
    struct strview pattern;
    bool nocase;
};

static unsigned char fold(const struct matcher *m, char c)
{
    unsigned char byte = (unsigned char)c;
    return m->nocase && byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

static bool in_range(const struct matcher *m, char from, char to, char c)
{
    /* The ends are ordered as written, and folded afterwards, as Redis does. */
    bool forward = (unsigned char)from <= (unsigned char)to;
    unsigned char low = fold(m, forward ? from : to);
    unsigned char high = fold(m, forward ? to : from);
    unsigned char byte = fold(m, c);
    return byte >= low && byte <= high;
}

/* The class that opens at `p`: does it hold `c`? *next is where the pattern goes on. */
static bool class_matches(const struct matcher *m, size_t p, char c, size_t *next)
{
    const char *s = m->pattern.data;
    size_t end = m->pattern.len;
    p++;
    bool negated = p < end && s[p] == '^';
    p += negated;
    bool found = false;
    while (p < end && s[p] != ']') {
        if (s[p] == '\\' && end - p >= 2) {
            found |= s[p + 1] == c;
            p += 2;
        } else if (end - p >= 3 && s[p + 1] == '-') {
            found |= in_range(m, s[p], s[p + 2], c);
            p += 3;
        } else {
            found |= fold(m, s[p]) == fold(m, c);
            p++;
        }
    }
    *next = p < end ? p + 1 : end;
    return found != negated;
}

/* The element at `p`, which is no star, against one byte. */
static bool element_matches(const struct matcher *m, size_t p, char c, size_t *next)
{
    const char *s = m->pattern.data;
    switch (s[p]) {
    case '?':
        *next = p + 1;
        return true;
    case '[':
        return class_matches(m, p, c, next);
    case '\\':
        p += m->pattern.len - p >= 2;
        break;
    default:
        break;
    }
    *next = p + 1;
    return fold(m, s[p]) == fold(m, c);
}

bool glob_match_counted(struct strview pattern, struct strview text, bool nocase, size_t *steps)
{
    struct matcher m = {.pattern = pattern, .nocase = nocase};
    size_t p = 0;
    size_t t = 0;
    bool starred = false;
    size_t star_p = 0; /* just after the last star */
    size_t star_t = 0; /* first byte that star does not cover */
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            starred = true;
            star_p = ++p;
            star_t = t;
            if (p == pattern.len) {
                return true;
            }
            continue;
        }
        size_t next;
        ++*steps;
        if (p < pattern.len && element_matches(&m, p, text.data[t], &next)) {
            p = next;
            t++;
        } else if (starred) {
            p = star_p;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

bool glob_match(struct strview pattern, struct strview text)
{
    size_t steps = 0;
    return glob_match_counted(pattern, text, false, &steps);
}

bool glob_match_nocase(struct strview pattern, struct strview text)
{
    size_t steps = 0;
    return glob_match_counted(pattern, text, true, &steps);
}
