/*
 * Signals, as events of the loop.
 */
#ifndef TARN_SERVER_SIGNALS_H
#define TARN_SERVER_SIGNALS_H

#include <ev.h>

struct signals {
    struct ev_loop *loop; /* borrowed */
    struct ev_signal term, interrupt, reopen;
    /* SIGTERM or SIGINT came, for the first or another time. */
    void (*on_end)(void *ctx);
    /* SIGUSR1: the log file was moved away. */
    void (*on_reopen)(void *ctx);
    void *ctx;
};

/* The caller has set on_end, on_reopen and ctx. SIGPIPE and SIGHUP are ignored from here on. */
void signals_start(struct signals *s, struct ev_loop *loop);
void signals_stop(struct signals *s);

#endif
