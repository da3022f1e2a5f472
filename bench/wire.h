/*
 * A blocking connection to a server, for benches: requests are gathered and sent together, replies
 * read one by one. Everything that goes wrong ends the process with a message.
 *
 * A caller that sends much before it reads must see to it that the replies of all but the last few
 * requests are small: the server may stop reading when its replies are not taken.
 */
#ifndef TARN_BENCH_WIRE_H
#define TARN_BENCH_WIRE_H

#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/strview.h"

struct wire {
    int fd; /* owned */
    struct buf out, in;
};

struct wire_reply {
    char kind;           /* '+' '-' ':' '$', or '_' for a null */
    struct strview text; /* borrowed until the next call */
};

/* `address`: HOST:PORT. */
void wire_open(struct wire *w, const char *address);
void wire_close(struct wire *w);

/* Adds a request in RESP. */
void wire_request(struct wire *w, unsigned argc, const struct strview *argv);
/* Adds bytes as they are. */
void wire_append(struct wire *w, struct strview bytes);
void wire_flush(struct wire *w);

/* The next reply in RESP; flat ones only. */
void wire_read(struct wire *w, struct wire_reply *out);
/* The next line without its end, of protocols that have lines; borrowed until the next call. */
struct strview wire_read_line(struct wire *w);

/* One request of words that are separated by blanks, and its reply. */
void wire_ask(struct wire *w, const char *words, struct wire_reply *out);

/* A number from the text of INFO (`name:value` lines) or of memcached's `stats`; 0 when missing. */
uint64_t wire_field(struct strview text, const char *name);

#endif
