/*
 * Where a Redis server is and who we are there:
 *
 *     redis://[user:password@]host[:port][/db]       [user] may be empty, [::1] is an IPv6 address
 *     unix://[user:password@]/path/of/the/socket[?db=n]
 *
 * Users and passwords may have %xx in them.
 */
#ifndef TARN_SOURCE_REDIS_DSN_H
#define TARN_SOURCE_REDIS_DSN_H

#include <stdbool.h>

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"

#define REDIS_PORT_DEFAULT 6379
#define REDIS_DATABASE_MAX 1000000

struct redis_dsn {
    char *text;           /* owned; the others point into it */
    const char *host;     /* "": a Unix socket */
    const char *path;     /* "": TCP */
    const char *user;     /* "": none */
    const char *password; /* "": none */
    unsigned port, database;
};

/* 0, -EINVAL with a text that has no secrets in it, or -ENOMEM with text. */
int redis_dsn_parse(struct redis_dsn *out, const char *text, struct errtext *err) WARN_UNUSED;
/* Is its host no name that has to be looked up? */
bool redis_dsn_has_address(const struct redis_dsn *d);
/* Accepts a zeroed one. */
void redis_dsn_fini(struct redis_dsn *d);

#endif
