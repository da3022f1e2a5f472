/*
 * The circuit breaker of a source: when loads fail one after the other, further ones are refused at
 * once, and one probe after the other asks whether the database is back. Nothing but counting and
 * times; who probes is flight.c's business.
 *
 *     CLOSED ──enough failures──> OPEN ──its time is over──> PROBING ──answer──> CLOSED
 *                                  ^                             │
 *                                  └──── twice as long ───failure┘
 */
#ifndef TARN_SOURCE_BREAKER_H
#define TARN_SOURCE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/hash.h"

#define BREAKER_SLICES 10

struct breaker_options {
    int64_t in_row; /* failures one after the other */
    int64_t share;  /* of the loads within the window, in millionths */
    int64_t window_ms;
    int64_t open_min_ms, open_max_ms;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct breaker {
    enum breaker_state state;
    int64_t in_row;
    int64_t open_ms;  /* how long the next opening lasts, before chance */
    int64_t until_ms; /* OPEN: when to probe */
    struct breaker_slice {
        int64_t number; /* which tenth of which window */
        uint32_t loads, failures;
    } slices[BREAKER_SLICES];
};

/* A load has ended. True: the breaker has just opened. */
bool breaker_note(struct breaker *b, const struct breaker_options *o, bool is_failure,
                  int64_t now_ms, struct rng *rng);

/* The database was heard of by another way: an open breaker's probe is due now. */
void breaker_hurry(struct breaker *b, int64_t now_ms);

/* Is it time for the probe? Then the breaker is PROBING until breaker_probed(). */
bool breaker_wants_probe(struct breaker *b, int64_t now_ms);
void breaker_probed(struct breaker *b, const struct breaker_options *o, bool is_failure,
                    int64_t now_ms, struct rng *rng);

#endif
