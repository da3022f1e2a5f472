/*
 * Where a MySQL or MariaDB server is: "host=db.example port=3306 dbname=shop user=cache_ro".
 */
#ifndef TARN_SOURCE_MYSQL_DSN_H
#define TARN_SOURCE_MYSQL_DSN_H

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"

enum mysql_ssl { MYSQL_SSL_OFF, MYSQL_SSL_REQUIRE, MYSQL_SSL_VERIFY };

#define MYSQL_WORD_MAX 256

/* "" where the dsn does not say. */
struct mysql_dsn {
    char host[MYSQL_WORD_MAX], socket[MYSQL_WORD_MAX];
    char user[MYSQL_WORD_MAX], password[MYSQL_WORD_MAX];
    char dbname[MYSQL_WORD_MAX];
    char ssl_ca[MYSQL_WORD_MAX], ssl_cert[MYSQL_WORD_MAX], ssl_key[MYSQL_WORD_MAX];
    unsigned port; /* 0: the default */
    enum mysql_ssl ssl;
};

/* 0 or -EINVAL with text, in which no value of the dsn appears. */
int mysql_dsn_parse(struct mysql_dsn *out, const char *dsn, struct errtext *err) WARN_UNUSED;

#endif
