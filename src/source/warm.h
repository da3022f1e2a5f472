/*
 * Warm-up: loading many keys in the background, at a rate.
 */
#ifndef TARN_SOURCE_WARM_H
#define TARN_SOURCE_WARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/source/driver.h"
#include "tarn/source/source.h"

struct flight;
struct sources;
struct warm_file;

enum warm_state { WARM_IDLE, WARM_ASKING, WARM_LOADING, WARM_DONE, WARM_STOPPED, WARM_FAILED };

#define WARM_ROWS_MAX 1000000
#define WARM_LINE_MAX 65536 /* bytes of a line of a file; longer ones are passed over */

struct warm {
    enum warm_state state;
    struct source_map *map; /* borrowed */
    struct buf keys;        /* those not begun yet: a length of 4 bytes, then the key */
    struct warm_file *file; /* owned; NULL: there are no more keys than those */
    bool is_at_end;         /* of the file */
    struct buf line;        /* of the file, as far as it was read */
    int64_t rate;           /* keys per second */
    int64_t began_ms;
    uint64_t total, begun, pending;
    uint64_t loaded, cached, absent, failed, skipped;
};

void warm_fini(struct warm *w);

/* By the clock: begins what the rate allows. */
void warm_tick(struct sources *s);
/* When that is to be done again; INT64_MAX: not. */
int64_t warm_next_ms(const struct sources *s);

/* A flight that was begun here has ended. */
void warm_note(struct sources *s, enum load_status status);
/* The query for keys has come back; NULL: it failed. */
void warm_take_rows(struct sources *s, const struct rows *rows);

#endif
