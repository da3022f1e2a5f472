/*
 * Sockets that wait for clients.
 *
 * TCP: each word of `bind` is an address; "*" and "::*" are all addresses of a family; a leading
 * "-" tolerates that the machine does not have the address. Options that every connection needs (no
 * delay, keepalive) are set on the listening socket, from which Linux hands them on, so accepting
 * costs two system calls.
 *
 * Unix: the file's mode is right before anybody can connect (between bind and listen). A file left
 * behind by a dead process is replaced, one that answers is not.
 *
 * Out of descriptors: accept fails while the listening socket stays readable, so a plain loop would
 * spin. We keep one spare descriptor: it is closed, the client accepted and refused with a message,
 * the spare opened again; then accepting pauses for a tenth of a second.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/log.h"
#include "tarn/base/strview.h"

#define RETRY_S 0.1

static const char refusal_full[] = "-ERR max number of clients reached\r\n";
static const char refusal_protected[] =
    "-DENIED Tarn is running in protected mode: no password is set, so only clients on the same "
    "machine are accepted (loopback addresses and the Unix socket). To let this client in, do one "
    "of these: 1) set a password, with 'requirepass <password>' in the configuration file or "
    "'CONFIG SET requirepass <password>' from the same machine; 2) if nobody you do not trust can "
    "reach the port, switch this protection off with 'CONFIG SET protected-mode no' from the same "
    "machine, or 'protected-mode no' in the configuration file; 3) for a test, start the server "
    "with '--protected-mode no'.\r\n";

/* ---- accepting ------------------------------------------------------------------------------- */

static void address_text(const struct sockaddr_storage *a, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)a;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        (void)snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)a;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        (void)snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        (void)snprintf(out, size, "?:0");
    }
}

bool address_is_local(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_UNIX) {
        return true;
    }
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)a;
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (a->ss_family != AF_INET6) {
        return false;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static void refuse(struct net *net, int fd, const char *why)
{
    (void)send(fd, why, strlen(why), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
    net->stats.rejected_connections++;
}

/* The same text for all connections to one of our addresses: a machine has few, connections are
 * many. */
static const char *keep_local_address(struct net *net, const char *text)
{
    unsigned i = 0;
    while (i < net->local_addresses_count && strcmp(net->local_addresses[i], text) != 0) {
        i++;
    }
    if (i == NET_LOCAL_ADDRESSES_MAX) {
        return "?:0";
    }
    if (i == net->local_addresses_count) {
        (void)snprintf(net->local_addresses[i], SESSION_ADDRESS_MAX, "%s", text);
        net->local_addresses_count++;
    }
    return net->local_addresses[i];
}

static void greet(struct listener *l, int fd, const struct sockaddr_storage *peer)
{
    struct net *net = l->net;
    if (net->conns_count >= (size_t)net->options->maxclients) {
        refuse(net, fd, refusal_full);
        return;
    }
    if (net->options->protected_mode && !net->env->command_options->requirepass.is_set &&
        !l->is_unix && !address_is_local(peer)) {
        refuse(net, fd, refusal_protected);
        return;
    }
    char address[SESSION_ADDRESS_MAX];
    char local_address[SESSION_ADDRESS_MAX];
    if (l->is_unix) {
        (void)snprintf(address, sizeof(address), "%.45s:0", l->name);
        memcpy(local_address, address, sizeof(address));
    } else {
        struct sockaddr_storage local = {0};
        socklen_t len = sizeof(local);
        (void)getsockname(fd, (struct sockaddr *)&local, &len); /* "?:0" when it fails */
        address_text(peer, address, sizeof(address));
        address_text(&local, local_address, sizeof(local_address));
    }
    const unsigned flags = (l->is_unix ? SESSION_UNIX : 0) |
                           (address_is_local(peer) ? SESSION_LOOPBACK : 0);
    int result = conn_open(net, fd, flags, address, keep_local_address(net, local_address));
    if (result < 0) {
        net->stats.rejected_connections++;
        log_warning("refusing client %s: %s", address, strerror(-result));
    }
}

static void pause_accepting(struct net *net)
{
    for (unsigned i = 0; i < net->listeners_count; i++) {
        ev_io_stop(net->loop, &net->listeners[i].watcher);
    }
    ev_timer_start(net->loop, &net->retry_watcher);
}

static void on_retry(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)revents;
    struct net *net = w->data;
    ev_timer_stop(loop, w);
    ev_timer_set(w, RETRY_S, 0.0);
    if (net->spare_fd < 0) {
        net->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (unsigned i = 0; i < net->listeners_count; i++) {
        ev_io_start(loop, &net->listeners[i].watcher);
    }
}

/* No descriptor for a new client. */
static void refuse_for_want_of_fds(struct listener *l, int error)
{
    struct net *net = l->net;
    if (log_limit_pass(&net->accept_log, net->env->clock->mono_ms)) {
        log_warning("cannot accept clients on %s: %s", l->name, strerror(error));
    }
    if ((error == EMFILE || error == ENFILE) && net->spare_fd >= 0) {
        (void)close(net->spare_fd);
        int fd = accept4(l->watcher.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            refuse(net, fd, refusal_full);
        }
        net->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    pause_accepting(net);
}

static void on_connect(struct ev_loop *loop, struct ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    struct listener *l = container_of(w, struct listener, watcher);
    for (int i = 0; i < NET_ACCEPTS; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(w->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            greet(l, fd, &peer);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse_for_want_of_fds(l, errno);
            return;
        }
        /* Everything else (ECONNABORTED, EPROTO, ENETDOWN, EPERM, EINTR, ...) is about that one
         * client. */
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static void start_listener(struct net *net, int fd, bool is_unix, const char *name)
{
    assert(net->listeners_count < NET_LISTENERS_MAX);
    struct listener *l = &net->listeners[net->listeners_count++];
    *l = (struct listener){.net = net, .is_unix = is_unix};
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    ev_io_init(&l->watcher, on_connect, fd, EV_READ);
    ev_set_priority(&l->watcher, NET_PRIORITY_ACCEPT);
    ev_io_start(net->loop, &l->watcher);
    log_notice("listening on %s", name);
}

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value,
                     sizeof(value)); /* without it we are slower, not wrong */
}

/* A peer that vanished is noticed within tcp-keepalive seconds: half of them silence, then three
 * probes. */
static void set_keepalive(int fd, int64_t seconds)
{
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
    if (seconds > 0) {
        int probe_s = (int)(seconds / 6 > 0 ? seconds / 6 : 1);
        int idle_s = (int)(seconds / 2 > 0 ? seconds / 2 : 1);
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_s);
        set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    }
}

void listeners_apply_keepalive(struct net *net)
{
    for (unsigned i = 0; i < net->listeners_count; i++) {
        if (!net->listeners[i].is_unix) {
            set_keepalive(net->listeners[i].watcher.fd, net->options->tcp_keepalive_s);
        }
    }
}

/* Returns the listening socket or -errno. */
static int open_tcp(const struct addrinfo *a, const struct net_options *options)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_keepalive(fd, options->tcp_keepalive_s);
    if (a->ai_family == AF_INET6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, (int)options->tcp_backlog) < 0) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

static bool is_family_missing(int error)
{
    return error == EAFNOSUPPORT || error == EPFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == ESOCKTNOSUPPORT || error == ENOPROTOOPT;
}

/* One word of `bind`. */
static int listen_on(struct net *net, const char *word, struct errtext *err)
{
    bool is_optional = word[0] == '-';
    const char *host = word + (is_optional ? 1 : 0);
    const char *node = strcmp(host, "*") == 0 ? "0.0.0.0" : strcmp(host, "::*") == 0 ? "::" : host;
    char port[8];
    (void)snprintf(port, sizeof(port), "%d", (int)net->options->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(node, port, &hints, &found);
    if (failed != 0) {
        errtext_set(err, "cannot listen on %s:%s: %s", host, port, gai_strerror(failed));
        return is_optional ? NET_OK : NET_BIND_FAILED;
    }
    int fd = net->listeners_count < NET_LISTENERS_MAX ? open_tcp(found, net->options) : -EMFILE;
    char name[64];
    struct sockaddr_storage address = {0};
    memcpy(&address, found->ai_addr, size_min(found->ai_addrlen, sizeof(address)));
    address_text(&address, name, sizeof(name));
    freeaddrinfo(found);
    if (fd < 0) {
        errtext_set(err, "cannot listen on %s: %s", name, strerror(-fd));
        bool is_tolerated = is_family_missing(-fd) || (is_optional && fd == -EADDRNOTAVAIL);
        return is_tolerated ? NET_OK : NET_BIND_FAILED;
    }
    start_listener(net, fd, false, name);
    return NET_OK;
}

static int open_tcp_listeners(struct net *net, struct errtext *err)
{
    const char *words = net->options->bind;
    unsigned before = net->listeners_count;
    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, " ");
        char word[256];
        if (len >= sizeof(word)) {
            errtext_set(err, "bind: an address is longer than %zu bytes", sizeof(word) - 1);
            return NET_BIND_FAILED;
        }
        memcpy(word, at, len);
        word[len] = '\0';
        int result = len > 0 ? listen_on(net, word, err) : NET_OK;
        if (result != NET_OK) {
            return result;
        }
        at += len + (at[len] == ' ');
    }
    if (net->listeners_count == before) {
        errtext_set(err, "bind: none of the addresses \"%s\" can be used", words);
        return NET_BIND_FAILED;
    }
    return NET_OK;
}

bool unix_perm_parse(const char *text, unsigned *mode_out)
{
    unsigned mode = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 4) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '7') {
            return false;
        }
        mode = mode * 8 + (unsigned)(text[i] - '0');
    }
    *mode_out = mode;
    return mode <= 0777;
}

/* Removes a socket file that nobody listens on. Returns 0, or -EADDRINUSE when somebody does. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return 0; /* bind will say what is wrong, if anything */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    bool is_alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                    errno == EAGAIN;
    (void)close(fd);
    if (is_alive) {
        return -EADDRINUSE;
    }
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Returns the listening socket or -errno. */
static int open_unix(const struct sockaddr_un *address, unsigned mode, int backlog)
{
    int result = remove_stale(address);
    if (result < 0) {
        return result;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    mode_t old_mask = mode != 0 ? umask(0777 & ~(mode_t)mode) : 0;
    int bound = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    int error = errno;
    if (mode != 0) {
        (void)umask(old_mask);
    }
    if (bound < 0) {
        (void)close(fd);
        return -error;
    }
    if ((mode != 0 && chmod(address->sun_path, (mode_t)mode) < 0) || listen(fd, backlog) < 0) {
        error = errno;
        (void)close(fd);
        (void)unlink(address->sun_path);
        return -error;
    }
    return fd;
}

static int open_unix_listener(struct net *net, struct errtext *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = net->options->unixsocket;
    unsigned mode = 0;
    if (strlen(path) >= sizeof(address.sun_path)) {
        errtext_set(err, "unixsocket: the path is longer than %zu bytes",
                    sizeof(address.sun_path) - 1);
        return NET_BAD_OPTION;
    }
    if (!unix_perm_parse(net->options->unixsocketperm, &mode)) {
        errtext_set(err, "unixsocketperm: '%s' is not an octal mode", net->options->unixsocketperm);
        return NET_BAD_OPTION;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = open_unix(&address, mode, (int)net->options->tcp_backlog);
    if (fd < 0) {
        errtext_set(err, "cannot listen on %s: %s", path, strerror(-fd));
        return NET_BIND_FAILED;
    }
    memcpy(net->unix_path, path, strlen(path) + 1);
    net->is_unix_bound = true;
    start_listener(net, fd, true, path);
    return NET_OK;
}

int listeners_open(struct net *net, struct errtext *err)
{
    ev_timer_init(&net->retry_watcher, on_retry, RETRY_S, 0.0);
    net->retry_watcher.data = net;
    int result = NET_OK;
    if (net->options->port != 0) {
        result = open_tcp_listeners(net, err);
    }
    if (result == NET_OK && net->options->unixsocket[0] != '\0') {
        result = open_unix_listener(net, err);
    }
    if (result == NET_OK && net->listeners_count == 0) {
        errtext_set(err, "nothing to listen on: port is 0 and there is no unixsocket");
        result = NET_BAD_OPTION;
    }
    if (result != NET_OK) {
        listeners_close(net);
    }
    return result;
}

void listeners_close(struct net *net)
{
    ev_timer_stop(net->loop, &net->retry_watcher);
    for (unsigned i = 0; i < net->listeners_count; i++) {
        ev_io_stop(net->loop, &net->listeners[i].watcher);
        (void)close(net->listeners[i].watcher.fd);
    }
    net->listeners_count = 0;
    if (net->is_unix_bound) {
        (void)unlink(net->unix_path);
        net->is_unix_bound = false;
    }
}
