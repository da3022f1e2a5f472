/*
 * Patterns of KEYS, SCAN and CONFIG GET: * ? [a-z] [^a-z] and backslash, as Redis matches them.
 *
 * Matching does not recurse and costs at most O(pattern x text) whatever the pattern: only the last
 * star is ever retried.
 */
#ifndef TARN_BASE_GLOB_H
#define TARN_BASE_GLOB_H

#include <stdbool.h>

#include "tarn/base/strview.h"

bool glob_match(struct strview pattern, struct strview text);
bool glob_match_nocase(struct strview pattern, struct strview text);

/* True for "*": every text matches. */
static inline bool glob_is_all(struct strview pattern)
{
    return pattern.len == 1 && pattern.data[0] == '*';
}

#endif
