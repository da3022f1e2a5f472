/*
 * What the drivers share. Each piece works on values handed to it and knows no driver.
 */
#include "driver_support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#define WRITE_MARGIN 10 /* 1/10 */

int statement_list_add(struct statement_list *l, void *statement)
{
    void **items = realloc(l->items, ((size_t)l->count + 1) * sizeof(void *));
    if (items == NULL) {
        return -ENOMEM;
    }
    l->items = items;
    l->items[l->count] = statement;
    return (int)l->count++;
}

void statement_list_fini(struct statement_list *l, void (*free_statement)(void *statement))
{
    for (unsigned i = 0; i < l->count; i++) {
        free_statement(l->items[i]);
    }
    free(l->items);
    *l = (struct statement_list){0};
}

size_t driver_values_bytes(const struct driver_value *values, unsigned count)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += values[i].bytes.len; /* each bounded by max-param or the longest argument */
    }
    return bytes;
}

void driver_values_copy(struct driver_value *to, const struct driver_value *from, unsigned count,
                        char *bytes)
{
    for (unsigned i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].bytes.data = bytes;
        if (from[i].bytes.len > 0) {
            memcpy(bytes, from[i].bytes.data, from[i].bytes.len);
            bytes += from[i].bytes.len;
        }
    }
}

int64_t driver_write_limit_ms(int64_t left_ms)
{
    const int64_t limit_ms = left_ms - left_ms / WRITE_MARGIN;
    return limit_ms > 0 ? limit_ms : 1;
}

static void on_settle_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
}

void driver_settle(struct ev_loop *loop, const unsigned *requests, int64_t wait_ms)
{
    ev_timer over;
    ev_timer_init(&over, on_settle_over, (double)wait_ms / 1000, 0.0);
    ev_now_update(loop);
    ev_timer_start(loop, &over);
    while (*requests > 0 && ev_is_active(&over)) {
        (void)ev_run(loop, EVRUN_ONCE);
    }
    ev_timer_stop(loop, &over);
}

bool driver_host_is_near(const char *host)
{
    return host[0] == '\0' || host[0] == '/' || strcmp(host, "localhost") == 0 ||
           strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

void driver_append_quoted(struct buf *out, struct strview text, char quote)
{
    buf_append_char(out, quote);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == quote) {
            buf_append_char(out, quote);
        }
        buf_append_char(out, text.data[i]);
    }
    buf_append_char(out, quote);
}
