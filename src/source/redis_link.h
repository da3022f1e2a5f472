/*
 * One connection to a Redis server, inside the event loop: it connects, says who we are, carries
 * requests in a pipeline and matches replies to them. When to connect is its owner's business.
 *
 *     CLOSED ──open──> RESOLVING ──> CONNECTING ──> GREETING (AUTH, SELECT, PING) ──> UP
 *        ^                └─────── failed, connect-timeout ────┘                       │
 *        └──────────────────────────────── broke, closed ──────────────────────────────┘
 *
 * hiredis parses the replies; the socket is our own, so that nothing blocks, nothing is called back
 * at odd moments, and a reply can be cut off when it is larger than anybody wants.
 */
#ifndef TARN_SOURCE_REDIS_LINK_H
#define TARN_SOURCE_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <hiredis/hiredis.h>

#include "redis_dsn.h"
#include "redis_request.h"
#include "resolve.h"
#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/source/driver.h"

/* Elements of one array in a reply: far more than the columns any map could take. */
#define REDIS_ELEMENTS_MAX (1 << 16)

enum redis_failure {
    REDIS_FAILURE_LINK, /* out of reach, or it broke */
    REDIS_FAILURE_CUT,  /* the server closed it */
    REDIS_FAILURE_AUTH, /* the server refuses the user or the password */
};

struct redis_target {
    const struct redis_dsn *dsn; /* borrowed, like all here */
    const struct driver_options *options;
    struct ev_loop *loop;
    struct resolver *resolver;
};

struct redis_link;

/* Never from within redis_link_open(), _send(), _flush() or
 * _close(), but for lost(). */
struct redis_link_events {
    void *ctx;
    void (*up)(void *ctx, struct redis_link *l);
    /* All replies are there, or it failed by itself; the request is the owner's again. */
    void (*finished)(void *ctx, struct redis_request *r);
    /* The link is about to be closed; the request, the owner's again, has no reply. */
    void (*lost)(void *ctx, struct redis_request *r);
    /* The link is closed when this is called. */
    void (*down)(void *ctx, struct redis_link *l, enum redis_failure failure, const char *text);
};

enum redis_link_state {
    REDIS_LINK_CLOSED,
    REDIS_LINK_RESOLVING,
    REDIS_LINK_CONNECTING,
    REDIS_LINK_GREETING,
    REDIS_LINK_UP,
};

struct redis_slot {
    struct redis_request *request; /* NULL: nobody waits for these replies any more */
    unsigned replies;              /* still to come */
    size_t bytes_max;              /* of each */
};

struct redis_link {
    const struct redis_target *target; /* borrowed */
    struct redis_link_events events;
    struct redis_slot *slots; /* owned; a ring of options->pipeline */
    unsigned slots_cap, slots_at, slots_count;
    struct buf out;
    redisReader *reader; /* owned; NULL unless GREETING or UP */
    redisReplyObjectFunctions functions;
    void *(*create_array)(const redisReadTask *task, int elements); /* hiredis's own */
    bool is_array_too_long;
    size_t reply_bytes;     /* read of the present reply */
    int64_t up_us, read_us; /* when it came up, when last something was read */
    int64_t ends_us;        /* when it is to be replaced; its owner's */
    bool is_worn;           /* takes no further requests */
    uint64_t answers;       /* since it is up */
    unsigned greetings;     /* replies to come before it is up */
    bool is_auth_awaited;   /* the first of them is AUTH's */
    enum redis_link_state state;
    int fd;
    ev_io io;
    ev_timer deadline; /* of connecting */
    uint64_t ticket;   /* of the resolver, in RESOLVING */
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
    unsigned addresses_count, address_at;
    char user[SECRET_MAX], password[SECRET_MAX]; /* from files, until it is up */
};

/* -ENOMEM: nothing is held. */
int redis_link_init(struct redis_link *l, const struct redis_target *target,
                    const struct redis_link_events *events) WARN_UNUSED;
/* Closes it. */
void redis_link_fini(struct redis_link *l);

/* From CLOSED. up() or down() follows. */
void redis_link_open(struct redis_link *l);
/* No event follows, but lost() for each request. A closed one stays closed. */
void redis_link_close(struct redis_link *l);

static inline bool redis_link_has_room(const struct redis_link *l)
{
    return l->state == REDIS_LINK_UP && !l->is_worn && l->slots_count < l->slots_cap;
}

/* Queues the request, which is the link's until an event gives it back. The link has room. */
void redis_link_send(struct redis_link *l, struct redis_request *r);
/* Sends what is queued, now and as the socket takes it. */
void redis_link_flush(struct redis_link *l);

/* Has the server closed the connection, without our having read so far? */
bool redis_link_is_dead(const struct redis_link *l);

/* The request of that id, which stays the link's. NULL: it is not here. */
struct redis_request *redis_link_find(const struct redis_link *l, uint64_t id);

#endif
