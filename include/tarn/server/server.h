/*
 * The server: one struct that owns a part of every layer and wires them together.
 */
#ifndef TARN_SERVER_SERVER_H
#define TARN_SERVER_SERVER_H

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"

struct args;
struct server; /* opaque */

/* Exit codes, after sysexits.h. */
enum server_exit {
    SERVER_EXIT_OK = 0,
    SERVER_EXIT_FAILED = 1,       /* ended before its time */
    SERVER_EXIT_USAGE = 64,       /* the command line */
    SERVER_EXIT_UNAVAILABLE = 69, /* an address cannot be listened on */
    SERVER_EXIT_OS = 71,          /* memory, descriptors, system calls */
    SERVER_EXIT_CONFIG = 78,      /* the configuration */
};

/* Reads the configuration and builds everything but the listeners. On success *out is to be given
 * to server_destroy(). The result is an exit code; other than 0 it comes with text. `args` is
 * borrowed. */
enum server_exit server_create(struct server **out, const struct args *args,
                               struct errtext *err) WARN_UNUSED;

/* Listens and serves until a signal or SHUTDOWN ends it. */
enum server_exit server_run(struct server *s, struct errtext *err) WARN_UNUSED;

/* Accepts NULL. */
void server_destroy(struct server *s);

#endif
