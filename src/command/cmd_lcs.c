/*
 * LCS: the longest common subsequence of two strings.
 *
 * The usual table of lengths, of which only two rows are kept. The way back through the table needs
 * one bit per cell: which of two neighbours is longer; where the bytes agree the step is diagonal,
 * which the strings themselves tell. So the memory is an eighth of a byte per cell, and there is a
 * limit on the cells, because the time they take is the server's.
 *
 * Of several longest subsequences the one that Redis finds is found: the way back starts at the
 * ends of both strings and shortens the second one where there is a choice.
 */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"

/* Two strings of 8 KiB; about a tenth of a second. */
#define LCS_CELLS_MAX (UINT64_C(64) * 1024 * 1024)

#define ERROR_NOT_STRINGS "ERR The specified keys must contain string values"
#define ERROR_BOTH        "ERR If you want both the length and indexes, please just use IDX."
#define ERROR_CELLS \
    "ERR strings are too long for LCS: the product of their lengths is limited to %llu"
#define ERROR_MEMORY "ERR Insufficient memory, failed allocating transient memory for LCS"

struct lcs_args {
    bool wants_length, wants_index, wants_match_len;
    int64_t min_match_len;
};

struct lcs {
    struct strview a, b;
    unsigned char *up; /* a bit per cell (i, j): the way back goes to (i - 1, j); NULL: not kept */
    size_t length;
};

static bool parse_lcs(struct cmd_ctx *ctx, struct lcs_args *out)
{
    *out = (struct lcs_args){0};
    for (int i = 3; i < ctx->argc; i++) {
        if (arg_is(ctx, i, "idx")) {
            out->wants_index = true;
        } else if (arg_is(ctx, i, "len")) {
            out->wants_length = true;
        } else if (arg_is(ctx, i, "withmatchlen")) {
            out->wants_match_len = true;
        } else if (arg_is(ctx, i, "minmatchlen") && i + 1 < ctx->argc) {
            if (!arg_i64(ctx, ++i, &out->min_match_len)) {
                return false;
            }
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    if (out->wants_index && out->wants_length) {
        reply_error(ctx, ERROR_BOTH);
        return false;
    }
    return true;
}

/* ---- the table ---- */

static size_t cell(const struct lcs *l, size_t i, size_t j)
{
    return (i - 1) * l->b.len + (j - 1);
}

/* `row` has room for b.len + 1 lengths: before, those of the row above. */
static void fill_row(struct lcs *l, size_t i, uint32_t *row)
{
    uint32_t diagonal = 0; /* length of cell (i - 1, j - 1) */
    for (size_t j = 1; j <= l->b.len; j++) {
        const uint32_t above = row[j];
        if (l->a.data[i - 1] == l->b.data[j - 1]) {
            row[j] = diagonal + 1;
        } else if (above > row[j - 1]) {
            if (l->up != NULL) {
                const size_t at = cell(l, i, j);
                l->up[at >> 3] = (unsigned char)(l->up[at >> 3] | 1u << (at & 7));
            }
        } else {
            row[j] = row[j - 1];
        }
        diagonal = above;
    }
}

/* False: no memory. */
static bool fill_table(struct lcs *l, bool keeps_way)
{
    if (l->a.len == 0 || l->b.len == 0) {
        return true;
    }
    uint32_t *row = calloc(l->b.len + 1, sizeof(*row));
    if (row == NULL) {
        return false;
    }
    if (keeps_way) {
        l->up = calloc(l->a.len * l->b.len / 8 + 1, 1);
    }
    const bool has_memory = !keeps_way || l->up != NULL;
    for (size_t i = 1; has_memory && i <= l->a.len; i++) {
        fill_row(l, i, row);
    }
    l->length = row[l->b.len];
    free(row);
    return has_memory;
}

/* ---- the way back ---- */

/* A stretch common to both strings: `len` bytes from these places on. */
struct lcs_match {
    size_t a, b, len;
};

/* Finds the last match before (*i, *j) and moves there; false: none. */
static bool match_before(const struct lcs *l, size_t *i, size_t *j, struct lcs_match *out)
{
    while (*i > 0 && *j > 0 && l->a.data[*i - 1] != l->b.data[*j - 1]) {
        const size_t at = cell(l, *i, *j);
        const bool is_up = (l->up[at >> 3] >> (at & 7) & 1) != 0;
        *i -= is_up ? 1 : 0;
        *j -= is_up ? 0 : 1;
    }
    size_t len = 0;
    while (*i > 0 && *j > 0 && l->a.data[*i - 1] == l->b.data[*j - 1]) {
        (*i)--;
        (*j)--;
        len++;
    }
    *out = (struct lcs_match){.a = *i, .b = *j, .len = len};
    return len > 0;
}

static void write_span(struct resp_writer *w, size_t first, size_t len)
{
    resp_write_array(w, 2);
    resp_write_int(w, (int64_t)first);
    resp_write_int(w, (int64_t)(first + len - 1));
}

static void reply_index(struct cmd_ctx *ctx, const struct lcs *l, const struct lcs_args *args)
{
    struct resp_writer *w = ctx->reply;
    size_t i = l->a.len, j = l->b.len, count = 0;
    struct lcs_match m;
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "matches");
    const size_t begin = reply_mark(ctx);
    while (match_before(l, &i, &j, &m)) {
        if ((int64_t)m.len < args->min_match_len) {
            continue;
        }
        count++;
        resp_write_array(w, args->wants_match_len ? 3 : 2);
        write_span(w, m.a, m.len);
        write_span(w, m.b, m.len);
        if (args->wants_match_len) {
            resp_write_int(w, (int64_t)m.len);
        }
    }
    reply_array_of(ctx, begin, count);
    resp_write_bulk_str(w, "len");
    resp_write_int(w, (int64_t)l->length);
}

static void reply_sequence(struct cmd_ctx *ctx, const struct lcs *l)
{
    size_t i = l->a.len, j = l->b.len, left = l->length;
    struct lcs_match m;
    char *out = resp_write_bulk_uninit(ctx->reply, l->length);
    while (out != NULL && match_before(l, &i, &j, &m)) {
        left -= m.len;
        memcpy(out + left, l->a.data + m.a, m.len);
    }
}

/* ---- the command ---- */

/* Both values; an absent key is an empty string. False: an error was written. */
static bool read_strings(struct cmd_ctx *ctx, struct lcs *l)
{
    const struct store_key a = key_at(ctx, 1), b = key_at(ctx, 2);
    struct entry_view e;
    bool are_strings = true;
    if (key_look(ctx, &a, true, &e)) {
        are_strings = e.type == ENTRY_STRING;
        l->a = e.value;
    }
    if (key_look(ctx, &b, true, &e)) {
        are_strings = are_strings && e.type == ENTRY_STRING;
        l->b = e.value;
    }
    if (!are_strings) {
        reply_error(ctx, ERROR_NOT_STRINGS);
    }
    return are_strings;
}

void cmd_lcs(struct cmd_ctx *ctx)
{
    struct lcs l = {0};
    struct lcs_args args;
    if (!read_strings(ctx, &l) || !parse_lcs(ctx, &args)) {
        return;
    }
    if (l.a.len > 0 && l.b.len > LCS_CELLS_MAX / l.a.len) {
        resp_write_errorf(ctx->reply, ERROR_CELLS, (unsigned long long)LCS_CELLS_MAX);
        return;
    }
    if (!fill_table(&l, !args.wants_length)) {
        reply_error(ctx, ERROR_MEMORY);
    } else if (args.wants_index) {
        reply_index(ctx, &l, &args);
    } else if (args.wants_length) {
        resp_write_int(ctx->reply, (int64_t)l.length);
    } else {
        reply_sequence(ctx, &l);
    }
    free(l.up);
}
