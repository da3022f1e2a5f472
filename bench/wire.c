/* See wire.h. */
#include "wire.h"

#include "tarn/base/num.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define READ_BYTES (256 * 1024)
#define WORDS_MAX  8

static int connect_to(const char *address)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host)) {
        die("not HOST:PORT: %s", address);
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        die("no such address: %s", address);
    }
    int fd = -1;
    for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        die("cannot connect to %s", address);
    }
    return fd;
}

void wire_open(struct wire *w, const char *address)
{
    *w = (struct wire){.fd = connect_to(address)};
    int on = 1;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void wire_close(struct wire *w)
{
    (void)close(w->fd);
    buf_fini(&w->out);
    buf_fini(&w->in);
}

void wire_append(struct wire *w, struct strview bytes)
{
    if (!buf_append_view(&w->out, bytes)) {
        die("no memory for a request");
    }
}

static void append_head(struct wire *w, char kind, uint64_t n)
{
    char text[NUM_I64_CHARS + 3] = {kind};
    size_t len = 1 + num_format_u64(text + 1, n);
    text[len++] = '\r';
    text[len++] = '\n';
    wire_append(w, strview_of(text, len));
}

void wire_request(struct wire *w, unsigned argc, const struct strview *argv)
{
    append_head(w, '*', argc);
    for (unsigned i = 0; i < argc; i++) {
        append_head(w, '$', argv[i].len);
        wire_append(w, argv[i]);
        wire_append(w, strview_of("\r\n", 2));
    }
}

void wire_flush(struct wire *w)
{
    while (buf_len(&w->out) > 0) {
        struct strview left = buf_view(&w->out);
        ssize_t n = send(w->fd, left.data, left.len, MSG_NOSIGNAL);
        if (n <= 0) {
            die("the server closed the connection");
        }
        buf_consume(&w->out, (size_t)n);
    }
}

static void read_more(struct wire *w)
{
    if (!buf_reserve(&w->in, READ_BYTES)) {
        die("no memory for a reply");
    }
    ssize_t n = recv(w->fd, buf_tail(&w->in), READ_BYTES, 0);
    if (n <= 0) {
        die("the server closed the connection");
    }
    buf_commit(&w->in, (size_t)n);
}

/* Views of the buffer stay valid after this, until more is read. */
static struct strview take(struct wire *w, size_t n)
{
    while (buf_len(&w->in) < n) {
        read_more(w);
    }
    struct strview v = strview_of(buf_view(&w->in).data, n);
    buf_consume(&w->in, n);
    return v;
}

struct strview wire_read_line(struct wire *w)
{
    size_t seen = 0;
    for (;;) {
        struct strview have = buf_view(&w->in);
        const char *end = have.len > seen ? memchr(have.data + seen, '\n', have.len - seen) : NULL;
        if (end != NULL) {
            struct strview line = take(w, (size_t)(end - have.data) + 1);
            line.len -= line.len > 1 && line.data[line.len - 2] == '\r' ? 2 : 1;
            return line;
        }
        seen = have.len;
        read_more(w);
    }
}

void wire_read(struct wire *w, struct wire_reply *out)
{
    struct strview line = wire_read_line(w);
    if (line.len == 0) {
        die("the server speaks no RESP");
    }
    *out = (struct wire_reply){.kind = line.data[0],
                               .text = strview_of(line.data + 1, line.len - 1)};
    if (out->kind == '$') {
        int64_t len;
        if (!num_parse_i64(out->text, &len)) {
            die("the server sent a bulk without a length");
        }
        if (len < 0) {
            out->kind = '_';
            return;
        }
        out->text = take(w, (size_t)len + 2);
        out->text.len -= 2;
    }
}

void wire_ask(struct wire *w, const char *words, struct wire_reply *out)
{
    struct strview argv[WORDS_MAX];
    unsigned argc = 0;
    while (*words != '\0' && argc < WORDS_MAX) {
        size_t len = strcspn(words, " ");
        argv[argc++] = strview_of(words, len);
        words += len + strspn(words + len, " ");
    }
    wire_request(w, argc, argv);
    wire_flush(w);
    wire_read(w, out);
}

uint64_t wire_field(struct strview text, const char *name)
{
    size_t name_len = strlen(name);
    for (size_t i = 0; i + name_len < text.len; i++) {
        bool is_start = i == 0 || text.data[i - 1] == '\n' || text.data[i - 1] == ' ';
        if (is_start && memcmp(text.data + i, name, name_len) == 0 &&
            (text.data[i + name_len] == ':' || text.data[i + name_len] == ' ')) {
            uint64_t n = 0;
            for (size_t at = i + name_len + 1;
                 at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
                n = n * 10 + (uint64_t)(text.data[at] - '0');
            }
            return n;
        }
    }
    return 0;
}
