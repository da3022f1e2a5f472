/*
 * The argument syntax of a command row, taken apart: "key value [NX | XX] [EX seconds | KEEPTTL]".
 * COMMAND DOCS answers with its structure, from which redis-cli builds its hints. Private to the
 * command layer.
 *
 * Grammar, with one level of brackets: words in lower case are values, in upper case tokens; a
 * token takes the values behind it; [ ] is optional, < > is not; | separates alternatives; "x [x
 * ...]" says that x repeats, "x y [x y ...]" that the pair does.
 */
#ifndef TARN_COMMAND_SYNTAX_H
#define TARN_COMMAND_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/strview.h"
#include "tarn/proto/resp_write.h"

#define SYNTAX_ITEMS_MAX 24

/* Top level: a run of plain words that belong together, or one bracket. */
struct syntax_item {
    struct strview text; /* without the brackets */
    int words;           /* of a plain item: how many values repeat together */
    bool is_optional;
    bool is_multiple;
};

/* Returns the number of items; -1 for text that does not follow the grammar (a programmer error,
 * tested for every row). */
int syntax_split(const char *syntax, struct syntax_item items[SYNTAX_ITEMS_MAX]);

/* Writes the array that COMMAND DOCS gives under "arguments". */
void syntax_write(struct resp_writer *w, const char *syntax);

#endif
