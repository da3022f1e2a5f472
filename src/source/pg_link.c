/*
 * Connecting without blocking. libpq does all of it through PQconnectPoll() but looking up names,
 * so names are resolved beforehand (resolve.c) and handed over as hostaddr; host stays, for
 * certificates. A name with several addresses becomes several hosts.
 *
 * libpq has no timeouts here; one timer covers the log-in from the first look-up on. The socket may
 * change with every call of PQconnectPoll(), so its watcher is set anew each time.
 *
 * Every session is read-only, in UTC, with ISO dates: default_transaction_read_only makes the
 * server refuse whatever is not a query. That is also why a primary is asked for as
 * target_session_attrs=primary: "read-write" would look at that very setting.
 */
#include "pg_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "driver_support.h"
#include "tarn/base/buf.h"

#define PARAMS_MAX 64

static const char session_options[] =
    "-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO "
    "-c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1";

#define PG_HOST_MAX 256

/* ---- the dsn --------------------------------------------------------------------------------- */

static const char *option_value(const PQconninfoOption *options, const char *name)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, name) == 0) {
            return o->val;
        }
    }
    return NULL;
}

int pg_dsn_check(const char *dsn, struct errtext *err)
{
    char *text = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &text);
    if (options == NULL) {
        errtext_set(err, "the dsn is not one of PostgreSQL: %s", text != NULL ? text : "no memory");
        err->text[strcspn(err->text, "\n")] = '\0';
        PQfreemem(text);
        return -EINVAL;
    }
    bool has_service = option_value(options, "service") != NULL;
    PQconninfoFree(options);
    if (has_service) {
        errtext_set(err, "the dsn names a service file; name the host itself");
        return -EINVAL;
    }
    return 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words != NULL && strcmp(word, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

/* Are all hosts of the list this machine? */
static bool are_near(const char *hosts)
{
    char host[PG_HOST_MAX];
    for (const char *at = hosts; at != NULL;) {
        const size_t len = strcspn(at, ",");
        (void)snprintf(host, sizeof(host), "%.*s", (int)size_min(len, sizeof(host) - 1), at);
        if (!driver_host_is_near(host)) {
            return false;
        }
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    return true;
}

void pg_dsn_judge(const char *dsn, struct driver_dsn_facts *out)
{
    static const char *const safe_modes[] = {"require", "verify-ca", "verify-full", NULL};
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    if (options == NULL) {
        return;
    }
    const char *mode = option_value(options, "sslmode");
    const char *address = option_value(options, "hostaddr");
    const char *hosts = address != NULL ? address : option_value(options, "host");
    out->has_password = option_value(options, "password") != NULL;
    out->is_exposed = !are_near(hosts) && (mode == NULL || !is_one_of(mode, safe_modes));
    PQconninfoFree(options);
}

/* What PQconnectStartParams() is called with. */
struct params {
    const char *names[PARAMS_MAX + 1], *values[PARAMS_MAX + 1];
    unsigned count;
    struct buf texts[4]; /* that had to be made */
};

static void set_param(struct params *p, const char *name, const char *value)
{
    unsigned i = 0;
    while (i < p->count && strcmp(p->names[i], name) != 0) {
        i++;
    }
    if (i < PARAMS_MAX) {
        p->names[i] = name;
        p->values[i] = value;
        p->count += i == p->count;
    }
}

/* A text of ours as a parameter's value. */
static void set_text(struct params *p, const char *name, struct buf *text)
{
    buf_append_char(text, '\0');
    if (!text->failed) {
        set_param(p, name, buf_view(text).data);
    }
}

/* Field `i` of a list with commas; its last one if there are fewer, as libpq does with ports. */
static struct strview list_field(const char *list, unsigned i)
{
    const char *end = strchrnul(list, ',');
    for (; i > 0 && *end == ','; i--) {
        list = end + 1;
        end = strchrnul(list, ',');
    }
    return strview_of(list, (size_t)(end - list));
}

/* One host, port and hostaddr for each address. */
static void set_addresses(struct params *p, const char *hosts, const char *ports,
                          const struct resolve_result *r, unsigned first)
{
    struct buf *host = &p->texts[0], *port = &p->texts[1], *address = &p->texts[2];
    for (unsigned i = 0; i < r->addresses_count; i++) {
        const struct resolve_address *a = &r->addresses[(i + first) % r->addresses_count];
        const char *comma = i > 0 ? "," : "";
        buf_append_str(host, comma);
        buf_append_view(host, list_field(hosts, a->host));
        buf_append_str(address, comma);
        buf_append_str(address, a->text);
        buf_append_str(port, comma);
        buf_append_view(port, list_field(ports, a->host));
    }
    set_text(p, "host", host);
    set_text(p, "hostaddr", address);
    set_text(p, "port", port);
}

static const char *known(const PQconninfoOption *dsn, const char *name, const char *variable)
{
    const char *value = option_value(dsn, name);
    return value != NULL ? value : getenv(variable); /* as libpq would */
}

/* The hosts to resolve; "": none. */
static const char *dsn_hosts(const PQconninfoOption *dsn)
{
    const char *hosts = known(dsn, "host", "PGHOST");
    bool has_addresses = known(dsn, "hostaddr", "PGHOSTADDR") != NULL;
    return hosts != NULL && !has_addresses ? hosts : "";
}

static void set_session(struct params *p, const struct pg_target *t, const PQconninfoOption *dsn)
{
    const char *own = option_value(dsn, "options");
    buf_printf(&p->texts[3], "%s%s%s", session_options, own != NULL ? " " : "",
               own != NULL ? own : "");
    set_text(p, "options", &p->texts[3]);
    set_param(p, "client_encoding", "UTF8");
    set_param(p, "fallback_application_name", "tarn");
    const char *attrs = option_value(dsn, "target_session_attrs");
    bool has_several = strchr(dsn_hosts(dsn), ',') != NULL || t->options->replicas[0] != '\0';
    if (t->is_primary && (attrs == NULL ? has_several : strcmp(attrs, "read-write") == 0)) {
        set_param(p, "target_session_attrs", "primary");
    }
}

/* NULL: out of memory. */
static PGconn *start_connection(const struct pg_target *t, const struct resolve_result *r)
{
    PQconninfoOption *dsn = PQconninfoParse(t->dsn, NULL);
    if (dsn == NULL) {
        return NULL; /* it was checked */
    }
    struct params p = {0};
    for (const PQconninfoOption *o = dsn; o->keyword != NULL; o++) {
        if (o->val != NULL) {
            set_param(&p, o->keyword, o->val);
        }
    }
    if (r->addresses_count > 0) {
        const char *ports = known(dsn, "port", "PGPORT");
        set_addresses(&p, dsn_hosts(dsn), ports != NULL ? ports : "", r, t->first);
    }
    set_session(&p, t, dsn);
    if (r->user[0] != '\0') {
        set_param(&p, "user", r->user);
    }
    if (r->password[0] != '\0') {
        set_param(&p, "password", r->password);
    }
    bool is_whole = true;
    for (size_t i = 0; i < ARRAY_LEN(p.texts); i++) {
        is_whole = is_whole && !p.texts[i].failed;
    }
    PGconn *pg = is_whole ? PQconnectStartParams(p.names, p.values, 0) : NULL;
    for (size_t i = 0; i < ARRAY_LEN(p.texts); i++) {
        buf_fini(&p.texts[i]);
    }
    PQconninfoFree(dsn);
    return pg;
}

/* ---- the end --------------------------------------------------------------------------------- */

void pg_link_close(struct pg_link *l)
{
    struct ev_loop *loop = l->target->loop;
    if (l->state == PG_LINK_LOGIN) {
        resolver_cancel(l->target->resolver, l->ticket);
    }
    ev_timer_stop(loop, &l->deadline);
    ev_io_stop(loop, &l->io);
    ev_clear_pending(loop, &l->io);
    PQfinish(l->pg);
    l->pg = NULL;
    l->state = PG_LINK_CLOSED;
}

static void fail(struct pg_link *l, enum pg_failure failure, const char *text)
{
    struct errtext kept; /* the text may be the connection's */
    errtext_set(&kept, "%s", text);
    for (char *c = kept.text; *c != '\0'; c++) {
        *c = *c == '\n' ? ' ' : *c;
    }
    pg_link_close(l);
    l->events.down(l->events.ctx, failure, kept.text);
}

static void fail_from_connection(struct pg_link *l)
{
    /* While connecting, messages are verbose: "FATAL:  28P01: password ...". Class 28 is about who
     * may come in. */
    const char *text = PQerrorMessage(l->pg);
    bool is_auth = l->state == PG_LINK_CONNECTING &&
                   (strstr(text, ":  28") != NULL || PQconnectionNeedsPassword(l->pg));
    fail(l, is_auth ? PG_FAILURE_AUTH : PG_FAILURE_LINK, text);
}

/* ---- the middle ------------------------------------------------------------------------------ */

static void watch(struct pg_link *l, int events)
{
    struct ev_loop *loop = l->target->loop;
    ev_io_stop(loop, &l->io);
    ev_io_set(&l->io, PQsocket(l->pg), events);
    ev_io_start(loop, &l->io);
}

static void send_rest(struct pg_link *l)
{
    int left = PQflush(l->pg);
    int events = left > 0 ? EV_READ | EV_WRITE : EV_READ;
    if (l->io.events != events) {
        watch(l, events);
    }
    if (left < 0) {
        ev_feed_event(l->target->loop, &l->io, EV_READ); /* reading will tell why */
    }
}

void pg_link_flush(struct pg_link *l)
{
    send_rest(l);
}

static void on_traffic(struct pg_link *l, int events)
{
    if ((events & EV_WRITE) != 0) {
        send_rest(l);
    }
    bool is_fine = PQconsumeInput(l->pg) == 1;
    l->events.readable(l->events.ctx); /* what came before the end counts */
    if (!is_fine && l->state == PG_LINK_UP) {
        fail_from_connection(l);
    }
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void on_connected(struct pg_link *l)
{
    ev_timer_stop(l->target->loop, &l->deadline);
    (void)PQsetErrorVerbosity(l->pg, PQERRORS_DEFAULT);
    (void)PQsetnonblocking(l->pg, 1); /* fails on broken connections only, which reading finds */
    l->state = PG_LINK_UP;
    watch(l, EV_READ);
    l->events.up(l->events.ctx);
}

static void poll_connection(struct pg_link *l)
{
    ev_io_stop(l->target->loop, &l->io); /* its socket may be closed in the next call */
    switch (PQconnectPoll(l->pg)) {
    case PGRES_POLLING_READING:
        watch(l, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        watch(l, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        on_connected(l);
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
        fail_from_connection(l);
        break;
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    struct pg_link *l = container_of(io, struct pg_link, io);
    if (l->state == PG_LINK_CONNECTING) {
        poll_connection(l);
    } else {
        on_traffic(l, events);
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct pg_link *l = container_of(timer, struct pg_link, deadline);
    fail(l, PG_FAILURE_LINK, "no connection within connect-timeout");
}

static void ignore_notice(void *ctx, const PGresult *notice)
{
    (void)ctx;
    (void)notice; /* libpq would print it */
}

static void on_login(void *ctx, const struct resolve_result *r)
{
    struct pg_link *l = ctx;
    l->state = PG_LINK_CONNECTING;
    if (!r->is_found) {
        fail(l, PG_FAILURE_LINK, r->problem.text);
        return;
    }
    l->pg = start_connection(l->target, r);
    if (l->pg == NULL) {
        fail(l, PG_FAILURE_LINK, "out of memory");
        return;
    }
    (void)PQsetErrorVerbosity(l->pg, PQERRORS_VERBOSE);
    (void)PQsetNoticeReceiver(l->pg, ignore_notice, NULL);
    if (PQstatus(l->pg) == CONNECTION_BAD) {
        fail_from_connection(l);
        return;
    }
    watch(l, EV_WRITE);
}

void pg_link_init(struct pg_link *l, const struct pg_target *target,
                  const struct pg_link_events *events)
{
    *l = (struct pg_link){.target = target, .events = *events};
    ev_init(&l->io, on_io);
    ev_init(&l->deadline, on_deadline);
}

int pg_link_open(struct pg_link *l)
{
    PQconninfoOption *dsn = PQconninfoParse(l->target->dsn, NULL);
    if (dsn == NULL) {
        return -ENOMEM; /* it was checked */
    }
    struct resolve_query query = {.hosts = dsn_hosts(dsn),
                                  .user_file = l->target->options->user_file,
                                  .password_file = l->target->options->password_file};
    l->ticket = resolver_start(l->target->resolver, &query, on_login, l);
    PQconninfoFree(dsn);
    if (l->ticket == 0) {
        return -ENOMEM;
    }
    l->state = PG_LINK_LOGIN;
    double seconds = (double)l->target->options->connect_timeout_ms / 1000;
    ev_timer_set(&l->deadline, seconds, 0.0);
    ev_timer_start(l->target->loop, &l->deadline);
    return 0;
}
