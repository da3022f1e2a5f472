/*
 * Any bytes must give the same requests and errors whole as in pieces. The first byte seeds where
 * the cuts are, and its lowest bits choose the limits; the rest is the stream.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../support/resp_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t piece_all(void *ctx, size_t received)
{
    (void)ctx;
    (void)received;
    return SIZE_MAX;
}

/* Pieces of 1 to 16 bytes, sometimes up to 4096. */
static size_t piece_random(void *ctx, size_t received)
{
    uint64_t *seed = ctx;
    (void)received;
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t bits = *seed >> 33;
    return bits % 8 == 0 ? 1 + (bits >> 3) % 4096 : 1 + (bits >> 3) % 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct resp_limits limits = {
        .bulk_max = (data[0] & 2) != 0 ? 100 : RESP_BULK_MAX,
        .args_max = (data[0] & 2) != 0 ? 12 : RESP_ARGS_MAX,
        .is_authenticated = (data[0] & 1) == 0,
    };
    uint64_t seed = data[0];
    struct strview stream = strview_of(data + 1, size - 1);
    struct buf whole = transcript_of(stream, &limits, piece_all, NULL);
    struct buf pieces = transcript_of(stream, &limits, piece_random, &seed);
    if (!strview_eq(buf_view(&whole), buf_view(&pieces))) {
        abort();
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
