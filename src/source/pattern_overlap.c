/*
 * Can two patterns match the same key? Each pattern becomes a small automaton without empty moves:
 * a *position* per character that it can read, with the set of bytes that fit there and where
 * reading may go on. A key that both match is a path on which both automata read the same bytes, so
 * it exists exactly when a pair of closing positions can be reached in the product of the two; that
 * is a breadth-first search over pairs of positions.
 *
 * Positions come in *parts*: a literal byte, or one way of spelling a parameter. Within a part
 * reading goes on to the next position (or stays, where a character repeats); at a part's end it
 * goes on to every part that may begin the following element.
 */
#include "pattern.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct byte_set {
    uint64_t bits[4];
};

struct position {
    struct byte_set bytes;
    unsigned element;
    bool is_first;  /* a key may enter the element here */
    bool is_last;   /* the element may end here */
    bool repeats;   /* the same character class again */
    bool goes_next; /* on to the following position of the same element */
};

struct automaton {
    struct position *positions; /* owned */
    size_t count, cap;
    unsigned elements;
    bool failed; /* out of memory */
};

static struct byte_set set_range(struct byte_set s, unsigned char from, unsigned char to)
{
    for (unsigned c = from; c <= to; c++) {
        s.bits[c / 64] |= UINT64_C(1) << (c % 64);
    }
    return s;
}

static struct byte_set set_of(char from, char to)
{
    return set_range((struct byte_set){{0}}, (unsigned char)from, (unsigned char)to);
}

static bool sets_meet(const struct byte_set *a, const struct byte_set *b)
{
    return ((a->bits[0] & b->bits[0]) | (a->bits[1] & b->bits[1]) | (a->bits[2] & b->bits[2]) |
            (a->bits[3] & b->bits[3])) != 0;
}

static void add(struct automaton *a, struct position p)
{
    if (a->count == a->cap) {
        size_t cap = a->cap > 0 ? a->cap * 2 : 64;
        struct position *positions = realloc(a->positions, cap * sizeof(*positions));
        if (positions == NULL) {
            a->failed = true;
            return;
        }
        a->positions = positions;
        a->cap = cap;
    }
    p.element = a->elements;
    a->positions[a->count++] = p;
}

/* A chain of single bytes that is entered at its front and left at its end. */
static void add_word(struct automaton *a, struct strview word)
{
    for (size_t i = 0; i < word.len; i++) {
        add(a, (struct position){.bytes = set_of(word.data[i], word.data[i]),
                                 .is_first = i == 0,
                                 .is_last = i + 1 == word.len,
                                 .goes_next = i + 1 < word.len});
    }
}

static void add_literal(struct automaton *a, struct strview literal)
{
    if (literal.len > 0) {
        add_word(a, literal);
        a->elements++;
    }
}

static void add_repeated(struct automaton *a, struct byte_set bytes)
{
    add(a, (struct position){.bytes = bytes, .is_first = true, .is_last = true, .repeats = true});
}

static void add_integer(struct automaton *a, bool is_signed)
{
    add(a, (struct position){.bytes = set_of('0', '0'), .is_first = true, .is_last = true});
    if (is_signed) {
        add(a, (struct position){.bytes = set_of('-', '-'), .is_first = true, .goes_next = true});
    }
    add(a, (struct position){
               .bytes = set_of('1', '9'), .is_first = true, .is_last = true, .goes_next = true});
    add(a, (struct position){.bytes = set_of('0', '9'), .is_last = true, .repeats = true});
}

static void add_uuid(struct automaton *a)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t len = sizeof(shape) - 1;
    for (size_t i = 0; i < len; i++) {
        struct byte_set hex = set_range(set_of('0', '9'), 'a', 'f');
        add(a, (struct position){.bytes = shape[i] == 'x' ? hex : set_of('-', '-'),
                                 .is_first = i == 0,
                                 .is_last = i + 1 == len,
                                 .goes_next = i + 1 < len});
    }
}

static void add_choices(struct automaton *a, struct strview choices)
{
    while (choices.len > 0) {
        const char *bar = memchr(choices.data, '|', choices.len);
        size_t len = bar != NULL ? (size_t)(bar - choices.data) : choices.len;
        add_word(a, strview_of(choices.data, len));
        size_t used = bar != NULL ? len + 1 : len;
        choices = strview_of(choices.data + used, choices.len - used);
    }
}

static void add_param(struct automaton *a, const struct pattern_param *p)
{
    struct byte_set digits = set_of('0', '9');
    switch (p->type) {
    case PARAM_INT:
    case PARAM_UINT:
        add_integer(a, p->type == PARAM_INT);
        break;
    case PARAM_UUID:
        add_uuid(a);
        break;
    case PARAM_SLUG: {
        struct byte_set letters = set_range(set_range(digits, 'a', 'z'), 'A', 'Z');
        add_repeated(a, set_range(set_range(letters, '_', '_'), '-', '-'));
        break;
    }
    case PARAM_HEX:
        add_repeated(a, set_range(digits, 'a', 'f'));
        break;
    case PARAM_ENUM:
        add_choices(a, p->choices);
        break;
    case PARAM_STR:
        add_repeated(a, set_range((struct byte_set){{0}}, 1, 255));
        break;
    case PARAM_BYTES:
        add_repeated(a, set_range((struct byte_set){{0}}, 0, 255));
        break;
    }
    a->elements++;
}

static void automaton_init(struct automaton *a, const struct pattern *p)
{
    *a = (struct automaton){0};
    add_literal(a, p->prefix);
    for (unsigned i = 0; i < p->params_count; i++) {
        add_param(a, &p->params[i]);
        add_literal(a, p->params[i].literal_after);
    }
}

/* ---- the product ----------------------------------------------------------------------------- */

/* May reading go from position `from` (or from before the start: SIZE_MAX) to position `to`? */
static bool leads_to(const struct automaton *a, size_t from, size_t to)
{
    const struct position *t = &a->positions[to];
    if (from == SIZE_MAX) {
        return t->element == 0 && t->is_first;
    }
    const struct position *f = &a->positions[from];
    if ((f->repeats && to == from) || (f->goes_next && to == from + 1)) {
        return true;
    }
    return f->is_last && t->is_first && t->element == f->element + 1;
}

static bool ends(const struct automaton *a, size_t position)
{
    const struct position *p = &a->positions[position];
    return p->is_last && p->element + 1 == a->elements;
}

struct search {
    const struct automaton *a, *b;
    unsigned char *is_seen; /* owned, one byte per pair */
    size_t *todo;           /* owned, pairs a * b->count + b */
    size_t todo_count;
    bool is_found;
};

static void visit(struct search *s, size_t pa, size_t pb)
{
    size_t pair = pa * s->b->count + pb;
    if (s->is_seen[pair] || !sets_meet(&s->a->positions[pa].bytes, &s->b->positions[pb].bytes)) {
        return;
    }
    s->is_seen[pair] = 1;
    s->todo[s->todo_count++] = pair;
    s->is_found = s->is_found || (ends(s->a, pa) && ends(s->b, pb));
}

/* Successors are found by trying all positions of the elements at hand: patterns are short. */
static void visit_successors(struct search *s, size_t from_a, size_t from_b)
{
    for (size_t pa = 0; pa < s->a->count; pa++) {
        if (!leads_to(s->a, from_a, pa)) {
            continue;
        }
        for (size_t pb = 0; pb < s->b->count; pb++) {
            if (leads_to(s->b, from_b, pb)) {
                visit(s, pa, pb);
            }
        }
    }
}

static int search(const struct automaton *a, const struct automaton *b)
{
    size_t pairs = a->count * b->count; /* each at most a few thousand: patterns are bounded */
    struct search s = {
        .a = a, .b = b, .is_seen = calloc(pairs, 1), .todo = calloc(pairs, sizeof(*s.todo))};
    int r = -ENOMEM;
    if (s.is_seen != NULL && s.todo != NULL) {
        visit_successors(&s, SIZE_MAX, SIZE_MAX);
        while (s.todo_count > 0 && !s.is_found) {
            size_t pair = s.todo[--s.todo_count];
            visit_successors(&s, pair / b->count, pair % b->count);
        }
        r = s.is_found;
    }
    free(s.is_seen);
    free(s.todo);
    return r;
}

int pattern_overlaps(const struct pattern *a, const struct pattern *b)
{
    size_t common = size_min(a->prefix.len, b->prefix.len);
    if (common > 0 && memcmp(a->prefix.data, b->prefix.data, common) != 0) {
        return 0; /* the ordinary case, decided cheaply */
    }
    struct automaton left, right;
    automaton_init(&left, a);
    automaton_init(&right, b);
    int r = left.failed || right.failed ? -ENOMEM : search(&left, &right);
    free(left.positions);
    free(right.positions);
    return r;
}
