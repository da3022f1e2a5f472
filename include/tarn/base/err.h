/*
 * Errors for people: start-up, configuration, checks of a map. Deep code fills an errtext, the
 * outermost caller prints it. Functions return 0, a negative errno (fatal to the operation, passed
 * on unchanged) or a positive value of their module's documented enum.
 */
#ifndef TARN_BASE_ERR_H
#define TARN_BASE_ERR_H

#include "tarn/base/compiler.h"

#define ERRTEXT_MAX 512

struct errtext {
    char text[ERRTEXT_MAX]; /* NUL-terminated, one line, cut when longer */
};

void errtext_set(struct errtext *e, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before what is there. */
void errtext_prefix(struct errtext *e, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
