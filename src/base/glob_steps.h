/*
 * The matcher with its work counted, so that a test can hold it to its bound without a stopwatch.
 */
#ifndef TARN_BASE_GLOB_STEPS_H
#define TARN_BASE_GLOB_STEPS_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/strview.h"

/* As glob_match(); adds to *steps how often an element of the pattern was tried against a byte. */
bool glob_match_counted(struct strview pattern, struct strview text, bool nocase, size_t *steps);

#endif
