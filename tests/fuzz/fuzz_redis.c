/*
 * What the Redis driver reads. The first byte chooses: a dsn; a command with a parameter $a; or a
 * command, and behind a zero byte the replies of a server to it.
 *
 * Checked: a parameter's bytes stay within their word; a request that did not fail has a row, or
 * none, of columns that all have names.
 */
#include <stdint.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "src/source/redis_dsn.h"
#include "src/source/redis_request.h"
#include "src/source/redis_statement.h"
#include "src/source/word_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct strview names[] = {{"a", 1}};
static const struct driver_value params[] = {{.type = VALUE_BYTES, .bytes = {" '\"\0$a\r\n", 8}}};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void try_dsn(struct strview text)
{
    struct redis_dsn d;
    struct errtext err;
    char *copy = strndup(text.data, text.len);
    if (copy != NULL && redis_dsn_parse(&d, copy, &err) == 0) {
        require((d.host[0] == '\0') != (d.path[0] == '\0'));
        require(d.port > 0 && d.port < 65536 && d.database <= REDIS_DATABASE_MAX);
        redis_dsn_fini(&d);
    }
    free(copy);
}

static void try_replies(struct redis_request *r, struct strview replies)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    bool is_alive = redisReaderFeed(reader, replies.data, replies.len) == REDIS_OK;
    for (unsigned i = 0; i < redis_request_replies(r) && is_alive; i++) {
        is_alive = redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL;
        if (is_alive) {
            redis_request_take(r, reply, i);
            freeReplyObject(reply);
        }
    }
    if (is_alive && r->status == DRIVER_OK) {
        require(r->rows != NULL && r->rows->count <= 1 && r->rows->columns > 0);
    }
    redisReaderFree(reader);
}

static void try_words(const struct redis_statement *s)
{
    struct buf word;
    buf_init(&word);
    for (unsigned i = 0; i < s->words_count; i++) {
        const char *mark = memchr(s->words[i].data, WORD_PARAM_MARK, s->words[i].len);
        buf_clear(&word);
        redis_statement_write(s, i, params, &word);
        require(mark != NULL || strview_eq(buf_view(&word), s->words[i]));
    }
    buf_fini(&word);
}

static void try_command(struct strview command, struct strview replies)
{
    struct buf marked;
    struct errtext err;
    struct redis_statement s;
    buf_init(&marked);
    if (word_params_mark(&marked, command, names, 1, &err) == 0 &&
        redis_statement_init(&s, buf_view(&marked)) == 0) {
        const struct driver_request q = {
            .params = params, .params_count = 1, .timeout_ms = 1000, .row_bytes_max = 100};
        try_words(&s);
        struct redis_request *r = s.problem.text[0] == '\0' ? redis_request_create(&q, &s) : NULL;
        if (r != NULL) {
            try_replies(r, replies);
            redis_request_destroy(r);
        }
        redis_statement_fini(&s);
    }
    buf_fini(&marked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct strview text = strview_of(data + 1, size - 1);
    const char *end = text.len > 0 ? memchr(text.data, '\0', text.len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
    if (data[0] == 'd') {
        try_dsn(text);
    } else {
        const size_t rest = end != NULL ? len + 1 : len;
        try_command(strview_of(text.data, len), strview_of(text.data + rest, text.len - rest));
    }
    return 0;
}
