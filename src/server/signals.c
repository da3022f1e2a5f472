/*
 * libev turns signals into events of the loop, so handlers here may do anything. SIGPIPE is an
 * error of send, which is checked; SIGHUP has no meaning yet and must not end a server whose
 * terminal goes away.
 */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

static void on_end(struct ev_loop *loop, struct ev_signal *w, int revents)
{
    (void)loop;
    (void)revents;
    struct signals *s = w->data;
    s->on_end(s->ctx);
}

static void on_reopen(struct ev_loop *loop, struct ev_signal *w, int revents)
{
    (void)loop;
    (void)revents;
    struct signals *s = w->data;
    s->on_reopen(s->ctx);
}

void signals_start(struct signals *s, struct ev_loop *loop)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail for a valid signal */
    (void)sigaction(SIGHUP, &ignore, NULL);
    s->loop = loop;
    ev_signal_init(&s->term, on_end, SIGTERM);
    ev_signal_init(&s->interrupt, on_end, SIGINT);
    ev_signal_init(&s->reopen, on_reopen, SIGUSR1);
    s->term.data = s->interrupt.data = s->reopen.data = s;
    ev_signal_start(loop, &s->term);
    ev_signal_start(loop, &s->interrupt);
    ev_signal_start(loop, &s->reopen);
}

void signals_stop(struct signals *s)
{
    if (s->loop == NULL) {
        return;
    }
    ev_signal_stop(s->loop, &s->term);
    ev_signal_stop(s->loop, &s->interrupt);
    ev_signal_stop(s->loop, &s->reopen);
}
