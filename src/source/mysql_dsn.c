/*
 * Words key=value, separated by blanks; a value with blanks is written in single quotes, in which
 * a backslash takes the next character as it is. (The form of libpq, so that one learns it once.)
 */
#include "mysql_dsn.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "tarn/base/num.h"
#include "tarn/base/strview.h"

static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    {"host", offsetof(struct mysql_dsn, host)},
    {"socket", offsetof(struct mysql_dsn, socket)},
    {"user", offsetof(struct mysql_dsn, user)},
    {"password", offsetof(struct mysql_dsn, password)},
    {"dbname", offsetof(struct mysql_dsn, dbname)},
    {"ssl-ca", offsetof(struct mysql_dsn, ssl_ca)},
    {"ssl-cert", offsetof(struct mysql_dsn, ssl_cert)},
    {"ssl-key", offsetof(struct mysql_dsn, ssl_key)},
};

/* Copies a value and returns what is behind it; NULL: it is too long or does not end. */
static const char *take_value(const char *at, char out[MYSQL_WORD_MAX])
{
    bool is_quoted = *at == '\'';
    size_t len = 0;
    at += is_quoted;
    while (*at != '\0' && (is_quoted ? *at != '\'' : *at != ' ')) {
        at += *at == '\\' && at[1] != '\0';
        if (len == MYSQL_WORD_MAX - 1) {
            return NULL;
        }
        out[len++] = *at++;
    }
    out[len] = '\0';
    if (!is_quoted) {
        return at;
    }
    return *at == '\'' ? at + 1 : NULL;
}

static int set_number(struct mysql_dsn *d, const char *value, struct errtext *err)
{
    int64_t port;
    if (!num_parse_i64(strview_str(value), &port) || port < 1 || port > 65535) {
        errtext_set(err, "the dsn's port is no number between 1 and 65535");
        return -EINVAL;
    }
    d->port = (unsigned)port;
    return 0;
}

static int set_ssl(struct mysql_dsn *d, const char *value, struct errtext *err)
{
    static const char *const names[] = {
        [MYSQL_SSL_OFF] = "off", [MYSQL_SSL_REQUIRE] = "require", [MYSQL_SSL_VERIFY] = "verify"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            d->ssl = (enum mysql_ssl)i;
            return 0;
        }
    }
    errtext_set(err, "the dsn's ssl is one of off, require, verify");
    return -EINVAL;
}

static int set(struct mysql_dsn *d, struct strview name, const char *value, struct errtext *err)
{
    if (strview_eq(name, strview_str("port"))) {
        return set_number(d, value, err);
    }
    if (strview_eq(name, strview_str("ssl"))) {
        return set_ssl(d, value, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strview_eq(name, strview_str(texts[i].name))) {
            memcpy((char *)d + texts[i].offset, value, strlen(value) + 1);
            return 0;
        }
    }
    errtext_set(err,
                "a dsn has host, port, socket, dbname, user, password, ssl, ssl-ca, ssl-cert "
                "and ssl-key, not '%.*s'",
                (int)size_min(name.len, 32), name.data);
    return -EINVAL;
}

int mysql_dsn_parse(struct mysql_dsn *out, const char *dsn, struct errtext *err)
{
    struct mysql_dsn d = {.ssl = MYSQL_SSL_OFF};
    const char *at = dsn + strspn(dsn, " ");
    while (*at != '\0') {
        char value[MYSQL_WORD_MAX];
        size_t len = strcspn(at, "= ");
        struct strview name = strview_of(at, len);
        at = at[len] == '=' ? take_value(at + len + 1, value) : NULL;
        if (at == NULL) {
            errtext_set(err, "the dsn is not of the form key=value key=value");
            return -EINVAL;
        }
        int r = set(&d, name, value, err);
        if (r != 0) {
            return r;
        }
        at += strspn(at, " ");
    }
    *out = d;
    return 0;
}
