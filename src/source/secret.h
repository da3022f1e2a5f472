/*
 * Passwords and user names kept in files. Reading blocks: helper threads only.
 */
#ifndef TARN_SOURCE_SECRET_H
#define TARN_SOURCE_SECRET_H

#include <stdbool.h>

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"

#define SECRET_MAX 1024

/* The first line of the file, without its end; "" when no file is named. False with text: it cannot
 * be read, or is empty. */
bool secret_read(char out[SECRET_MAX], const char *path, struct errtext *err) WARN_UNUSED;

#endif
