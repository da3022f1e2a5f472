/*
 * Cuts a copy of the text into its parts, in place: every part is shorter than what it came from.
 */
#include "redis_dsn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tarn/base/num.h"

static const char usage[] = "the dsn is redis://[user:password@]host[:port][/db] or "
                            "unix://[user:password@]/path[?db=n]";

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: a % without two digits, or %00. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        const int high = digit_of(from[1]);
        const int low = high >= 0 ? digit_of(from[2]) : -1;
        if (low < 0 || high + low == 0) {
            return false;
        }
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return true;
}

static bool parse_number(const char *text, unsigned max, unsigned *out)
{
    uint64_t value;
    if (!num_parse_u64(strview_str(text), &value) || value > max) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

/* Takes `user:password@` off the front. False: it cannot be right. */
static bool take_login(struct redis_dsn *d, char **rest)
{
    char *at = strrchr(*rest, '@');
    if (at == NULL) {
        return true;
    }
    *at = '\0';
    char *user = *rest;
    char *colon = strchr(user, ':');
    if (colon == NULL) {
        return false;
    }
    *colon = '\0';
    d->user = user;
    d->password = colon + 1;
    *rest = at + 1;
    return decode(user) && decode(colon + 1) && d->password[0] != '\0';
}

static bool parse_tcp(struct redis_dsn *d, char *rest)
{
    char *slash = strchr(rest, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (slash[1] != '\0' && !parse_number(slash + 1, REDIS_DATABASE_MAX, &d->database)) {
            return false;
        }
    }
    char *end = rest;
    if (rest[0] == '[') {
        end = strchr(rest, ']');
        if (end == NULL) {
            return false;
        }
        *end++ = '\0';
        rest++;
    } else {
        end = rest + strcspn(rest, ":");
    }
    if (*end == ':' && (!parse_number(end + 1, 65535, &d->port) || d->port == 0)) {
        return false;
    }
    const bool is_whole = *end == ':' || *end == '\0';
    *end = '\0';
    d->host = rest;
    return is_whole && rest[0] != '\0' && strchr(rest, ',') == NULL;
}

static bool parse_unix(struct redis_dsn *d, char *rest)
{
    static const char database[] = "?db=";
    char *query = strstr(rest, database);
    if (query != NULL) {
        *query = '\0';
        if (!parse_number(query + sizeof(database) - 1, REDIS_DATABASE_MAX, &d->database)) {
            return false;
        }
    }
    d->path = rest;
    return rest[0] == '/' && strlen(rest) < sizeof(((struct sockaddr_un *)0)->sun_path);
}

int redis_dsn_parse(struct redis_dsn *out, const char *text, struct errtext *err)
{
    static const char tcp[] = "redis://", local[] = "unix://";
    *out = (struct redis_dsn){.text = strdup(text),
                              .host = "",
                              .path = "",
                              .user = "",
                              .password = "",
                              .port = REDIS_PORT_DEFAULT};
    if (out->text == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    const bool is_tcp = strncmp(text, tcp, sizeof(tcp) - 1) == 0;
    const bool is_local = strncmp(text, local, sizeof(local) - 1) == 0;
    char *rest = out->text + (is_tcp ? sizeof(tcp) : sizeof(local)) - 1;
    if ((is_tcp || is_local) && take_login(out, &rest) &&
        (is_tcp ? parse_tcp(out, rest) : parse_unix(out, rest))) {
        return 0;
    }
    redis_dsn_fini(out);
    errtext_set(err, "%s", usage);
    return -EINVAL;
}

bool redis_dsn_has_address(const struct redis_dsn *d)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return d->path[0] != '\0' || inet_pton(AF_INET, d->host, bytes) == 1 ||
           inet_pton(AF_INET6, d->host, bytes) == 1;
}

void redis_dsn_fini(struct redis_dsn *d)
{
    if (d->text != NULL) {
        explicit_bzero(d->text, strlen(d->text));
    }
    free(d->text);
    *d = (struct redis_dsn){0};
}
