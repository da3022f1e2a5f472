/*
 * Builds a database's result as one block: header, then the bytes of names and cells as they come,
 * then the table of cells. While it grows, the block may move, so cells are offsets; the table is
 * kept apart until the end because its final place is not known earlier.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES_MIN 256
#define CELLS_MIN       16

void rows_begin(struct rows_builder *b, unsigned columns)
{
    *b = (struct rows_builder){.columns = columns, .len = sizeof(struct rows)};
}

static bool reserve(struct rows_builder *b, size_t more)
{
    size_t need;
    if (add_overflow(b->len, more, &need)) {
        return false;
    }
    if (need <= b->cap) {
        return true;
    }
    size_t cap = size_max(need, BLOCK_BYTES_MIN);
    if (cap < SIZE_MAX / 2 && b->cap > 0) {
        cap = size_max(cap, b->cap * 2);
    }
    char *block = realloc(b->block, cap);
    if (block == NULL) {
        return false;
    }
    b->block = block;
    b->cap = cap;
    return true;
}

static bool reserve_cell(struct rows_builder *b)
{
    if (b->cells_count < b->cells_cap) {
        return true;
    }
    size_t cap = size_max(CELLS_MIN, b->cells_cap * 2);
    size_t bytes;
    if (mul_overflow(cap, sizeof(struct cell), &bytes)) {
        return false;
    }
    struct cell *cells = realloc(b->cells, bytes);
    if (cells == NULL) {
        return false;
    }
    b->cells = cells;
    b->cells_cap = cap;
    return true;
}

void rows_add(struct rows_builder *b, enum cell_type type, struct strview bytes)
{
    if (b->failed || !reserve_cell(b) || !reserve(b, bytes.len)) {
        b->failed = true;
        return;
    }
    b->cells[b->cells_count++] = (struct cell){.at = b->len, .len = bytes.len, .type = type};
    if (bytes.len > 0) {
        memcpy(b->block + b->len, bytes.data, bytes.len);
        b->len += bytes.len;
    }
}

void rows_abandon(struct rows_builder *b)
{
    free(b->block);
    free(b->cells);
    *b = (struct rows_builder){0};
}

struct rows *rows_finish(struct rows_builder *b, bool has_more)
{
    assert(b->failed || b->columns == 0 || b->cells_count >= b->columns);
    assert(b->failed || b->columns == 0 || b->cells_count % b->columns == 0);
    size_t table_bytes = b->cells_count * sizeof(struct cell);
    size_t padding = (0 - b->len) & (alignof(struct cell) - 1);
    if (b->failed || !reserve(b, padding + table_bytes)) {
        rows_abandon(b);
        return NULL;
    }
    size_t cells_at = b->len + padding;
    if (table_bytes > 0) {
        memcpy(b->block + cells_at, b->cells, table_bytes);
    }
    struct rows *r = (struct rows *)(void *)b->block;
    *r = (struct rows){
        .memory = b->cap,
        .cells_at = cells_at,
        .columns = b->columns,
        .count = b->columns > 0 ? (unsigned)(b->cells_count / b->columns) - 1 : 0,
        .has_more = has_more,
    };
    b->block = NULL;
    rows_abandon(b);
    return r;
}
