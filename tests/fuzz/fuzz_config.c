/*
 * Lines of a configuration file: any bytes give options or one line of text that says what is
 * wrong. Files named by `include` are not read, so that a run does not depend on the machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool mentions_include(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 7 <= size; i++) {
        if (strncasecmp((const char *)data + i, "include", 7) == 0) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_values values = {0};
    const struct config_apply nobody = {0};
    struct config config = {0};
    struct errtext err = {""};
    if (size == 0 || mentions_include(data, size) ||
        config_values_bind(&values, &nobody, &config.options) < 0) {
        return 0;
    }
    char *copy = malloc(size); /* fmemopen may not write to the fuzzer's bytes */
    FILE *f = copy != NULL ? fmemopen(memcpy(copy, data, size), size, "r") : NULL;
    if (f != NULL) {
        enum config_result result = config_load_stream(&config, f, "fuzz", &err);
        if (result == CONFIG_BAD_FILE &&
            (strncmp(err.text, "fuzz:", 5) != 0 || strchr(err.text, '\n') != NULL)) {
            abort(); /* every message names the place, in one line */
        }
    }
    config_fini(&config);
    option_set_destroy(config.options);
    free(copy);
    return 0;
}
