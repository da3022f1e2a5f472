/* Replies of a Redis server become rows, or say why not. */
#include "src/source/redis_request.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>

static const struct driver_value id = {.type = VALUE_INT, .number = 7};

/* A load of `marked`, whose one parameter is 7. The statement is freed by finish(). */
static struct redis_request *begin(struct redis_statement *s, const char *marked, size_t len,
                                   enum driver_task task)
{
    assert_int_equal(redis_statement_init(s, strview_of(marked, len)), 0);
    assert_string_equal(s->problem.text, "");
    const struct driver_request q = {
        .id = 1, .task = task, .params_count = 1, .params = &id, .row_bytes_max = 64};
    struct redis_request *r = redis_request_create(&q, s);
    assert_non_null(r);
    return r;
}

#define LOAD(s, literal) begin(s, literal, sizeof(literal) - 1, DRIVER_LOAD)

static void finish(struct redis_request *r, struct redis_statement *s)
{
    redis_request_destroy(r);
    redis_statement_fini(s);
}

static void take(struct redis_request *r, const char *wire, unsigned number)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, wire, strlen(wire)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redis_request_take(r, reply, number);
    freeReplyObject(reply);
    redisReaderFree(reader);
}

static void assert_cell(const struct rows *r, unsigned column, const char *name, const char *value)
{
    assert_true(strview_eq(rows_name(r, column), strview_str(name)));
    const struct cell *c = rows_cell(r, 0, column);
    assert_int_equal(c->type, value != NULL ? CELL_TEXT : CELL_NULL);
    if (value != NULL) {
        assert_true(strview_eq(rows_bytes(r, c), strview_str(value)));
    }
}

static void redis_request__a_load_reads_and_asks_for_the_life(void **state)
{
    (void)state;
    struct redis_statement s;
    struct redis_request *r = LOAD(&s, "HGET user:\0A name");
    assert_true(strview_eq(buf_view(&r->wire),
                           strview_str("*3\r\n$4\r\nHGET\r\n$6\r\nuser:7\r\n$4\r\nname\r\n"
                                       "*2\r\n$4\r\nPTTL\r\n$6\r\nuser:7\r\n")));
    assert_int_equal(redis_request_replies(r), 2);
    take(r, "$3\r\nAda\r\n", 0);
    take(r, ":1500\r\n", 1);
    assert_int_equal(r->status, DRIVER_OK);
    assert_int_equal(r->rows->count, 1);
    assert_int_equal(r->rows->columns, 1);
    assert_cell(r->rows, 0, "name", "Ada");
    assert_true(r->has_life);
    assert_int_equal(r->life_ms, 1500);
    finish(r, &s);
}

static void redis_request__lives(void **state)
{
    static const struct {
        const char *wire;
        bool has_life;
        int64_t life_ms;
    } cases[] = {
        {":-1\r\n", false, 0}, {":-2\r\n", true, 0}, {":0\r\n", true, 0}, {":9\r\n", true, 9}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_statement s;
        struct redis_request *r = LOAD(&s, "GET \0A");
        take(r, "$1\r\nv\r\n", 0);
        take(r, cases[i].wire, 1);
        assert_int_equal(r->status, DRIVER_OK);
        assert_int_equal(r->has_life, cases[i].has_life);
        assert_int_equal(r->life_ms, cases[i].life_ms);
        finish(r, &s);
    }
}

static void redis_request__missing_is_no_row(void **state)
{
    (void)state;
    struct redis_statement s;
    struct redis_request *r = LOAD(&s, "GET \0A");
    take(r, "$-1\r\n", 0);
    assert_int_equal(r->rows->count, 0);
    assert_int_equal(r->rows->columns, 1);
    finish(r, &s);
    r = LOAD(&s, "HMGET \0A a b");
    take(r, "*2\r\n$-1\r\n$-1\r\n", 0);
    assert_int_equal(r->rows->count, 0);
    assert_int_equal(r->rows->columns, 2);
    assert_true(strview_eq(rows_name(r->rows, 1), strview_str("b")));
    finish(r, &s);
    r = LOAD(&s, "HGETALL \0A");
    take(r, "*0\r\n", 0);
    assert_int_equal(r->rows->count, 0);
    finish(r, &s);
}

static void redis_request__columns_of_hashes(void **state)
{
    (void)state;
    struct redis_statement s;
    struct redis_request *r = LOAD(&s, "HMGET h a f\0A");
    take(r, "*2\r\n$-1\r\n$1\r\nx\r\n", 0);
    assert_cell(r->rows, 0, "a", NULL);
    assert_cell(r->rows, 1, "f7", "x");
    finish(r, &s);
    r = LOAD(&s, "HGETALL \0A");
    take(r, "*4\r\n$1\r\nf\r\n$2\r\nv1\r\n$1\r\ng\r\n$0\r\n\r\n", 0);
    assert_int_equal(r->rows->columns, 2);
    assert_cell(r->rows, 0, "f", "v1");
    assert_cell(r->rows, 1, "g", "");
    finish(r, &s);
}

/* The statement's reply, whatever it is, has to end with this status. */
static void assert_fails(const char *marked, size_t len, const char *wire,
                         enum driver_status status)
{
    struct redis_statement s;
    struct redis_request *r = begin(&s, marked, len, DRIVER_LOAD);
    take(r, wire, 0);
    if (r->status != status) {
        fail_msg("%s: status %d", wire, r->status);
    }
    assert_string_not_equal(r->detail, "");
    take(r, ":-1\r\n", 1);
    assert_int_equal(r->status, status);
    finish(r, &s);
}

#define FAILS(literal, wire, status) assert_fails(literal, sizeof(literal) - 1, wire, status)

static void redis_request__odd_replies_are_errors(void **state)
{
    (void)state;
    FAILS("GET \0A", ":1\r\n", DRIVER_ERROR);
    FAILS("GET \0A", "+OK\r\n", DRIVER_ERROR);
    FAILS("GET \0A", "*1\r\n$1\r\nx\r\n", DRIVER_ERROR);
    FAILS("HMGET \0A a b", "*1\r\n$1\r\nx\r\n", DRIVER_ERROR);
    FAILS("HMGET \0A a b", "*2\r\n:1\r\n$1\r\nx\r\n", DRIVER_ERROR);
    FAILS("HMGET \0A a b", "$1\r\nx\r\n", DRIVER_ERROR);
    FAILS("HGETALL \0A", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", DRIVER_ERROR);
    FAILS("HGETALL \0A", "*2\r\n$1\r\na\r\n*0\r\n", DRIVER_ERROR);
    FAILS("HGETALL \0A", "$-1\r\n", DRIVER_ERROR);
}

static void redis_request__errors_keep_their_meaning(void **state)
{
    (void)state;
    FAILS("GET \0A", "-WRONGTYPE x\r\n", DRIVER_ERROR);
    FAILS("GET \0A", "-NOPERM x\r\n", DRIVER_ERROR);
    FAILS("GET \0A", "-LOADING x\r\n", DRIVER_DOWN);
    FAILS("GET \0A", "-SOURCETIMEOUT x\r\n", DRIVER_TIMEOUT);
    FAILS("GET \0A", "-SOURCEBUSY x\r\n", DRIVER_BUSY);
    FAILS("GET \0A", "-SOURCEBIG x\r\n", DRIVER_TOO_BIG);
    FAILS("GET \0A", "-SOURCEDOWN x\r\n", DRIVER_DOWN);
}

static void redis_request__rows_have_a_limit(void **state)
{
    (void)state;
    char wire[128];
    snprintf(wire, sizeof(wire), "$65\r\n%065d\r\n", 0);
    FAILS("GET \0A", wire, DRIVER_TOO_BIG);
    snprintf(wire, sizeof(wire), "*2\r\n$1\r\nf\r\n$64\r\n%064d\r\n", 0);
    FAILS("HGETALL \0A", wire, DRIVER_TOO_BIG);
}

static void redis_request__without_a_life_there_is_no_value(void **state)
{
    (void)state;
    struct redis_statement s;
    struct redis_request *r = LOAD(&s, "GET \0A");
    take(r, "$1\r\nv\r\n", 0);
    take(r, "-NOPERM no permissions to run PTTL\r\n", 1);
    assert_int_equal(r->status, DRIVER_ERROR);
    finish(r, &s);
}

static void redis_request__a_check_has_the_columns(void **state)
{
    (void)state;
    struct redis_statement s;
    struct redis_request *r = begin(&s, "HMGET \0A a b", 12, DRIVER_CHECK);
    assert_true(strview_eq(buf_view(&r->wire), strview_str("*1\r\n$4\r\nPING\r\n")));
    assert_int_equal(redis_request_replies(r), 1);
    take(r, "+PONG\r\n", 0);
    assert_int_equal(r->rows->columns, 2);
    assert_true(strview_eq(rows_name(r->rows, 0), strview_str("a")));
    finish(r, &s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_request__a_load_reads_and_asks_for_the_life),
        cmocka_unit_test(redis_request__lives),
        cmocka_unit_test(redis_request__missing_is_no_row),
        cmocka_unit_test(redis_request__columns_of_hashes),
        cmocka_unit_test(redis_request__odd_replies_are_errors),
        cmocka_unit_test(redis_request__errors_keep_their_meaning),
        cmocka_unit_test(redis_request__rows_have_a_limit),
        cmocka_unit_test(redis_request__without_a_life_there_is_no_value),
        cmocka_unit_test(redis_request__a_check_has_the_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
