/*
 * The servers of a PostgreSQL source, a primary and its replicas: which one takes a request, and how
 * far behind a replica is.
 */
#ifndef TARN_SOURCE_PG_MEMBERS_H
#define TARN_SOURCE_PG_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "pg_server.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/source/driver.h"

#define PG_REPLICAS_MAX 15
#define PG_SAMPLES      128 /* of the primary's position, one a second */

struct pg_member {
    struct pg_server server;
    int64_t lag_ms; /* of a replica; negative: not known */
    int64_t rtt_us; /* of checks, smoothed; 0: not known */
    int64_t asked_us;
    bool is_asked; /* a check is under way */
};

/* The primary had written its log up to `lsn` at this time. */
struct pg_sample {
    int64_t at_us;
    int64_t lsn;
};

struct pg_members {
    struct pg_member all[1 + PG_REPLICAS_MAX]; /* the primary first */
    unsigned count;
    unsigned turn; /* of the replicas */
    const struct driver_options *options;
    struct pg_server_events events; /* of those above */
    struct pg_sample samples[PG_SAMPLES];
    uint64_t samples_count; /* taken so far */
    ev_timer tick;
};

/* `target` is the primary's. 0 or -EINVAL with text. */
int pg_members_init(struct pg_members *m, const struct pg_target *target,
                    const struct pg_server_events *events, unsigned conns_max,
                    struct errtext *err) WARN_UNUSED;
void pg_members_fini(struct pg_members *m, pg_finished_fn drop, void *ctx);

/* Takes the request; it is sent by pg_members_pump(). */
void pg_members_submit(struct pg_members *m, struct pg_request *r);
void pg_members_pump(struct pg_members *m);
bool pg_members_cancel(struct pg_members *m, uint64_t id);

enum driver_state pg_members_state(const struct pg_members *m);
void pg_members_report(const struct pg_members *m, struct driver_report *out);

#endif
