/*
 * The network layer as a whole: its options and metrics, creation, drain and end.
 */
#include "tarn/net/net.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "state.h"
#include "tarn/base/log.h"
#include "tarn/base/num.h"
#include "tarn/base/strview.h"

#define OUTPUT_LIMIT_DEFAULT "normal 1gb 256mb 60 pubsub 32mb 8mb 60"

/* clang-format off */
#define FIELD(f) offsetof(struct net_options, f)
static const struct option net_option_rows[] = {
    {.name = "bind", .type = OPTION_STRINGS, .offset = FIELD(bind), .def = "127.0.0.1 -::1", .flags = OPTION_FIXED,
     .help = "addresses to listen on; * and ::* mean all; one with a leading - may be missing on this machine"},
    {.name = "port", .type = OPTION_INT, .offset = FIELD(port), .def = "6379", .min = 0, .max = 65535,
     .flags = OPTION_FIXED, .help = "TCP port; 0 listens on no TCP port"},
    {.name = "tcp-backlog", .type = OPTION_INT, .offset = FIELD(tcp_backlog), .def = "511", .min = 1, .max = 65535,
     .flags = OPTION_FIXED, .help = "connections the kernel keeps waiting to be accepted (see net.core.somaxconn)"},
    {.name = "unixsocket", .type = OPTION_STRING, .offset = FIELD(unixsocket), .def = "", .flags = OPTION_FIXED,
     .help = "path of a Unix socket to listen on"},
    {.name = "unixsocketperm", .type = OPTION_STRING, .offset = FIELD(unixsocketperm), .def = "0",
     .flags = OPTION_FIXED, .help = "mode of the Unix socket in octal; 0 leaves it to the umask"},
    {.name = "maxclients", .type = OPTION_INT, .offset = FIELD(maxclients), .def = "10000", .min = 1, .max = 1 << 24,
     .help = "connections at the same time; lowered at start when the limit of open files is smaller"},
    {.name = "timeout", .type = OPTION_INT, .offset = FIELD(timeout_s), .def = "0", .min = 0, .max = INT32_MAX,
     .help = "seconds after which an idle connection is closed; 0 keeps it"},
    {.name = "tcp-keepalive", .type = OPTION_INT, .offset = FIELD(tcp_keepalive_s), .def = "300", .min = 0,
     .max = 86400, .help = "seconds within which a vanished client is noticed; 0 does not probe"},
    {.name = "client-query-buffer-limit", .type = OPTION_BYTES, .offset = FIELD(client_query_buffer_limit),
     .def = "576mb", .min = 1 << 20, .max = INT64_MAX, .help = "unread input of one connection above which it is closed"},
    {.name = "client-output-buffer-limit", .type = OPTION_STRINGS, .offset = FIELD(client_output_buffer_limit),
     .def = OUTPUT_LIMIT_DEFAULT, .help = "unsent replies of one connection above which it is closed: class, at "
     "once, for some time, that time in seconds"},
    {.name = "maxmemory-clients", .type = OPTION_SHARE, .offset = FIELD(maxmemory_clients), .def = "0", .max = INT64_MAX,
     .help = "memory for the buffers of all clients: bytes, units, or a percentage of maxmemory; 0 does not limit it"},
    {.name = "protected-mode", .type = OPTION_BOOL, .offset = FIELD(protected_mode), .def = "yes",
     .help = "without requirepass, refuse clients that are not on this machine"},
};
#undef FIELD

#define FIELD(f) offsetof(struct net_metrics, f)
static const struct metric net_metric_rows[] = {
    {"total_connections_received", "connections accepted", FIELD(total_connections_received), METRIC_COUNTER},
    {"rejected_connections", "connections refused because of maxclients or a lack of resources",
     FIELD(rejected_connections), METRIC_COUNTER},
    {"total_net_input_bytes", "bytes read from clients", FIELD(total_net_input_bytes), METRIC_COUNTER},
    {"total_net_output_bytes", "bytes written to clients", FIELD(total_net_output_bytes), METRIC_COUNTER},
    {"total_reads_processed", "reads from clients' sockets", FIELD(total_reads_processed), METRIC_COUNTER},
    {"total_writes_processed", "writes to clients' sockets", FIELD(total_writes_processed), METRIC_COUNTER},
    {"client_query_buffer_limit_disconnections", "connections closed because of client-query-buffer-limit",
     FIELD(client_query_buffer_limit_disconnections), METRIC_COUNTER},
    {"client_output_buffer_limit_disconnections", "connections closed because of client-output-buffer-limit",
     FIELD(client_output_buffer_limit_disconnections), METRIC_COUNTER},
    {"evicted_clients", "connections closed because of maxmemory-clients", FIELD(evicted_clients), METRIC_COUNTER},
    {"client_timeout_disconnections", "connections closed because of timeout", FIELD(client_timeout_disconnections),
     METRIC_COUNTER},
};
#undef FIELD
/* clang-format on */

const struct option_table net_option_table = {
    .title = "Network", .rows = net_option_rows, .count = ARRAY_LEN(net_option_rows)};
const struct metric_table net_metric_table = {
    .section = "Stats", .rows = net_metric_rows, .count = ARRAY_LEN(net_metric_rows)};

/* ---- options with a meaning of their own ----------------------------------------------------- */

static struct strview next_word(struct strview *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->data[len] != ' ') {
        len++;
    }
    struct strview word = strview_of(rest->data, len);
    size_t skip = len < rest->len ? len + 1 : len;
    *rest = strview_of(rest->data + skip, rest->len - skip);
    return word;
}

/* The class by its name; OUTPUT_CLASSES for one that Redis has and there are none of here, -1 for
 * one that nobody has. */
static int output_class_of(struct strview name)
{
    if (strview_eq_nocase(name, "normal")) {
        return OUTPUT_NORMAL;
    }
    if (strview_eq_nocase(name, "pubsub")) {
        return OUTPUT_PUBSUB;
    }
    const bool is_replica = strview_eq_nocase(name, "slave") || strview_eq_nocase(name, "replica");
    return is_replica ? OUTPUT_CLASSES : -1;
}

/* "normal 1gb 256mb 60 pubsub ...": classes that are not named keep their limits. */
static int parse_output_limits(const char *text, struct output_limit out[OUTPUT_CLASSES],
                               struct errtext *err)
{
    struct strview rest = strview_str(text);
    struct output_limit limits[OUTPUT_CLASSES + 1];
    memcpy(limits, out, OUTPUT_CLASSES * sizeof(*out));
    while (rest.len > 0) {
        struct output_limit limit = {0};
        struct strview name = next_word(&rest);
        if (!num_parse_bytes(next_word(&rest), &limit.hard) ||
            !num_parse_bytes(next_word(&rest), &limit.soft) ||
            !num_parse_u64(next_word(&rest), &limit.soft_seconds)) {
            errtext_set(err,
                        "client-output-buffer-limit: expected class, two sizes and seconds, e.g. "
                        "normal 1gb 256mb 60");
            return NET_BAD_OPTION;
        }
        const int class = output_class_of(name);
        if (class < 0) {
            errtext_set(err, "client-output-buffer-limit: no class '%.*s' of clients",
                        STRVIEW_ARG(name));
            return NET_BAD_OPTION;
        }
        limits[class] = limit;
    }
    memcpy(out, limits, OUTPUT_CLASSES * sizeof(*out));
    return NET_OK;
}

/* Raises the limit of open files to what maxclients needs, or lowers maxclients to what the limit
 * allows. */
static int fit_maxclients(struct net_options *options, struct errtext *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return 0; /* accept will tell */
    }
    rlim_t wanted = (rlim_t)options->maxclients + NET_FDS_RESERVED;
    if (limit.rlim_cur >= wanted) {
        return 0;
    }
    struct rlimit raised = {.rlim_cur = wanted,
                            .rlim_max = limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        return 0;
    }
    raised = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        limit = raised;
    }
    if (limit.rlim_cur <= NET_FDS_RESERVED) {
        errtext_set(err,
                    "the limit of %llu open files leaves none for clients: at least %d are needed",
                    (unsigned long long)limit.rlim_cur, NET_FDS_RESERVED + 1);
        return -EMFILE;
    }
    int64_t fits = (int64_t)limit.rlim_cur - NET_FDS_RESERVED;
    if (fits < options->maxclients) {
        log_warning(
            "maxclients lowered from %lld to %lld: the limit of open files is %llu (ulimit -n)",
            (long long)options->maxclients, (long long)fits, (unsigned long long)limit.rlim_cur);
        options->maxclients = fits;
    }
    return 0;
}

int net_apply_option(void *ctx, const struct option *option, struct errtext *err)
{
    struct net *net = ctx;
    if (strcmp(option->name, "client-output-buffer-limit") == 0) {
        return parse_output_limits(net->options->client_output_buffer_limit, net->output_limits,
                                   err);
    }
    if (strcmp(option->name, "tcp-keepalive") == 0) {
        listeners_apply_keepalive(net);
    } else if (strcmp(option->name, "maxclients") == 0) {
        int64_t wanted = net->options->maxclients;
        int result = fit_maxclients(net->options, err);
        if (result == 0 && net->options->maxclients < wanted) {
            errtext_set(err,
                        "the limit of open files does not allow that many clients (ulimit -n)");
            result = NET_BAD_OPTION;
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

int net_create(struct net **out, struct ev_loop *loop, struct net_options *options,
               struct command_env *env, struct errtext *err)
{
    struct net *net = malloc(sizeof(*net));
    char *ring = malloc(NET_RING_BYTES);
    if (net == NULL || ring == NULL) {
        errtext_set(err, "no memory for the network layer");
        free(net);
        free(ring);
        return -ENOMEM;
    }
    *net = (struct net){.loop = loop, .options = options, .env = env, .ring = ring, .spare_fd = -1};
    list_init(&net->work);
    list_init(&net->conns);
    list_init(&net->waiting);
    for (unsigned i = 0; i < NET_MEMORY_CLASSES; i++) {
        list_init(&net->by_memory[i]);
    }
    int result = fit_maxclients(options, err);
    if (result == 0) {
        result = parse_output_limits(OUTPUT_LIMIT_DEFAULT, net->output_limits, err);
    }
    if (result == 0) {
        result = parse_output_limits(options->client_output_buffer_limit, net->output_limits, err);
    }
    if (result != 0) {
        free(ring);
        free(net);
        return result;
    }
    net->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    turn_start(net);
    idle_start(net);
    *out = net;
    return 0;
}

int net_listen(struct net *net, struct errtext *err)
{
    return listeners_open(net, err);
}

void net_check_drained(struct net *net)
{
    if (net->is_draining && list_is_empty(&net->conns) && net->drained != NULL) {
        void (*drained)(void *ctx) = net->drained;
        net->drained = NULL;
        drained(net->drained_ctx);
    }
}

void net_drain(struct net *net, void (*done)(void *ctx), void *ctx)
{
    assert(!net->is_draining);
    net->is_draining = true;
    net->drained = done;
    net->drained_ctx = ctx;
    listeners_close(net);
    list_for_each (link, &net->conns) {
        struct conn *c = container_of(link, struct conn, idle_link);
        conn_watch(c);
        conn_add_work(c, CONN_WORK_FLUSH);
    }
}

void net_destroy(struct net *net)
{
    if (net == NULL) {
        return;
    }
    listeners_close(net);
    turn_stop(net);
    idle_stop(net);
    for (struct list *link = net->conns.next; link != &net->conns; link = net->conns.next) {
        conn_destroy(container_of(link, struct conn, idle_link));
    }
    spares_fini(&net->spares);
    if (net->spare_fd >= 0) {
        (void)close(net->spare_fd);
    }
    resp_request_fini(&net->request);
    free(net->ring);
    free(net);
}

size_t net_memory(const struct net *net)
{
    return sizeof(*net) + NET_RING_BYTES +
           (size_t)net->request.argv_cap * sizeof(*net->request.argv) + net->request.scratch_cap +
           net->conns_count * sizeof(struct conn);
}

size_t net_buffer_memory(const struct net *net)
{
    return net->buffers_bytes + net->spares.bytes;
}

struct net_metrics *net_metrics(struct net *net)
{
    return &net->stats;
}
