/* CONFIG REWRITE: the configuration file brought up to date. Private to the server layer. */
#ifndef TARN_SERVER_CONFIG_REWRITE_H
#define TARN_SERVER_CONFIG_REWRITE_H

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/option.h"

struct sources;

/* Writes the values of `current`, a set made by config_values_bind(), and the sources and maps (NULL:
 * none are looked at) into the file. 0, or -1 with text and the file as it was. */
int config_rewrite(const char *path, const struct option_set *current, struct sources *sources,
                   struct errtext *err) WARN_UNUSED;

#endif
