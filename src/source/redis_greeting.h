/*
 * What a connection to a Redis server begins with: who we are, which database, and a PING.
 */
#ifndef TARN_SOURCE_REDIS_GREETING_H
#define TARN_SOURCE_REDIS_GREETING_H

#include <stdbool.h>

#include "redis_dsn.h"
#include "tarn/base/buf.h"

/* From files: "" leaves it to the dsn. */
struct redis_login {
    const char *user, *password;
};

/* Appends the commands; how many replies they get. `*has_auth`: the first of them is AUTH's. */
unsigned redis_greeting_write(struct buf *out, const struct redis_dsn *dsn,
                              const struct redis_login *files, bool *has_auth);

#endif
