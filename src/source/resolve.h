/*
 * What a driver has to know before it connects and can only find out by blocking: the addresses of
 * host names, the user and the password in their files. One helper thread per upstream asks.
 */
#ifndef TARN_SOURCE_RESOLVE_H
#define TARN_SOURCE_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "secret.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"

#define RESOLVE_HOSTS_BYTES_MAX 1024
#define RESOLVE_ADDRESSES_MAX   16
#define RESOLVE_PATH_MAX        256

struct ev_loop;
struct resolver;

struct resolve_address {
    unsigned host;               /* which of the names, from 0 */
    char text[INET6_ADDRSTRLEN]; /* "": the name is a path, of a socket */
};

struct resolve_result {
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
    unsigned addresses_count; /* in order of the names, each with all its addresses */
    char user[SECRET_MAX], password[SECRET_MAX]; /* "": no file was named */
    bool is_found;
    struct errtext problem; /* if not; no secrets in it */
};

struct resolve_query {
    const char *hosts; /* separated by commas; "": none. Copied, like the next two */
    const char *user_file, *password_file; /* "": none */
};

/* `result` is borrowed during the call. */
typedef void (*resolve_fn)(void *ctx, const struct resolve_result *result);

int resolver_create(struct resolver **out, struct ev_loop *loop) WARN_UNUSED;
/* No callback comes afterwards. A thread that hangs longer than `wait_ms` is left behind. Accepts
 * NULL. */
void resolver_destroy(struct resolver *r, int64_t wait_ms);

/* `fn` is called once, later. The ticket, or 0: out of memory, or a text is too long. */
uint64_t resolver_start(struct resolver *r, const struct resolve_query *query, resolve_fn fn,
                        void *ctx) WARN_UNUSED;
/* `fn` will not be called. Unknown tickets are ignored. */
void resolver_cancel(struct resolver *r, uint64_t ticket);

#endif
