/* The expiry of single fields; replies as Redis 7.4 and 8 give them. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

#include "src/command/notify.h"

#define NO_FIELDS "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n"
#define BAD_COUNT "-ERR Number of fields must be a positive integer\r\n"
#define MISMATCH  "-ERR The `numfields` parameter must match the number of arguments\r\n"

/* Every case runs on a packed hash and on a table: the latter has many more fields. */
#define ENCODINGS 2
#define FILL      400

static void begin(struct fixture *f, int encoding)
{
    assert_reply(f, "DEL h", encoding == 0 ? ZERO : ONE);
    assert_reply(f, "HSET h a 1 b 2 c 3", ":3\r\n");
    for (int i = 0; i < FILL * encoding; i++) {
        char line[40];
        snprintf(line, sizeof(line), "HSET h fill:%d %d", i, i);
        assert_reply(f, line, ONE);
    }
}

static void hash_expire__lifetimes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ENCODINGS; i++) {
        begin(f, i);
        assert_reply(f, "HEXPIRE h 10 FIELDS 3 a none b", "*3\r\n:1\r\n:-2\r\n:1\r\n");
        assert_reply(f, "HTTL h FIELDS 3 a c none", "*3\r\n:10\r\n:-1\r\n:-2\r\n");
        assert_reply(f, "HPEXPIRE h 1500 FIELDS 1 a", "*1\r\n:1\r\n");
        assert_reply(f, "HPTTL h FIELDS 1 a", "*1\r\n:1500\r\n");
        assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:2\r\n");
        assert_reply(f, "HEXPIRETIME h FIELDS 1 b", "*1\r\n:1700000010\r\n");
        assert_reply(f, "HPEXPIRETIME h FIELDS 1 a", "*1\r\n:1700000001500\r\n");
        assert_reply(f, "HPERSIST h FIELDS 3 a c none", "*3\r\n:1\r\n:-1\r\n:-2\r\n");
        assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
        fixture_advance(f, 9999);
        assert_reply(f, "HEXISTS h b", ONE);
        fixture_advance(f, 1);
        assert_reply(f, "HEXISTS h b", ZERO);
        assert_reply(f, "HLEN h", i == 0 ? ":2\r\n" : ":402\r\n");
        assert_reply(f, "HMGET h a b", "*2\r\n$1\r\n1\r\n$-1\r\n");
        f->clock.wall_ms = FIXTURE_WALL_MS;
    }
}

static void hash_expire__at_a_time(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ENCODINGS; i++) {
        begin(f, i);
        assert_reply(f, "HEXPIREAT h 1700000005 FIELDS 1 a", "*1\r\n:1\r\n");
        assert_reply(f, "HPTTL h FIELDS 1 a", "*1\r\n:5000\r\n");
        assert_reply(f, "HPEXPIREAT h 1700000000007 FIELDS 1 b", "*1\r\n:1\r\n");
        assert_reply(f, "HPTTL h FIELDS 1 b", "*1\r\n:7\r\n");
        assert_reply(f, "HPEXPIREAT h 1700000000000 FIELDS 2 b none", "*2\r\n:2\r\n:-2\r\n");
        assert_reply(f, "HEXISTS h b", ZERO);
        assert_reply(f, "HEXPIRE h 0 FIELDS 1 a", "*1\r\n:2\r\n");
        assert_reply(f, "HMGET h a b c", "*3\r\n$-1\r\n$-1\r\n$1\r\n3\r\n");
    }
}

static void hash_expire__conditions(void **state)
{
    struct fixture *f = *state;
    begin(f, 0);
    assert_reply(f, "HEXPIRE h 10 XX FIELDS 1 a", "*1\r\n:0\r\n");
    assert_reply(f, "HEXPIRE h 10 GT FIELDS 1 a", "*1\r\n:0\r\n"); /* none is later than any */
    assert_reply(f, "HEXPIRE h 10 LT FIELDS 1 a", "*1\r\n:1\r\n");
    assert_reply(f, "HEXPIRE h 10 nx FIELDS 2 a b", "*2\r\n:0\r\n:1\r\n");
    assert_reply(f, "HEXPIRE h 10 GT FIELDS 1 a", "*1\r\n:0\r\n");
    assert_reply(f, "HEXPIRE h 11 GT FIELDS 1 a", "*1\r\n:1\r\n");
    assert_reply(f, "HEXPIRE h 12 LT FIELDS 1 a", "*1\r\n:0\r\n");
    assert_reply(f, "HEXPIRE h 12 XX FIELDS 1 a", "*1\r\n:1\r\n");
    assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:12\r\n");
}

static void hash_expire__mistakes(void **state)
{
    struct fixture *f = *state;
    begin(f, 0);
    assert_reply(f, "HEXPIRE h 10 FOO 1 a b", NO_FIELDS);
    assert_reply(f, "HEXPIRE h 10 NX 1 a b", NO_FIELDS);
    assert_reply(f, "HEXPIRE h 10 FIELDS 2 a", MISMATCH);
    assert_reply(f, "HEXPIRE h 10 FIELDS 0 a",
                 "-ERR Parameter `numFields` should be greater than 0\r\n");
    assert_reply(f, "HEXPIRE h x FIELDS 1 a", NOT_AN_INTEGER);
    assert_reply(f, "HEXPIRE h -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(f, "HEXPIRE h 9223372036854775807 FIELDS 1 a",
                 "-ERR invalid expire time in 'hexpire' command\r\n");
    assert_reply(f, "HPEXPIRE h 70368744177663 FIELDS 1 a",
                 "-ERR invalid expire time in 'hpexpire' command\r\n");
    assert_reply(f, "HTTL h FIELDS x a", BAD_COUNT);
    assert_reply(f, "HTTL h FOO 1 a", NO_FIELDS);
    assert_reply(f, "HPERSIST h FIELDS 2 a", MISMATCH);
    assert_reply(f, "HTTL none FIELDS 2 a b", "*2\r\n:-2\r\n:-2\r\n");
    assert_reply(f, "HEXPIRE none 1 FIELDS 2 a b", "*2\r\n:-2\r\n:-2\r\n");
    assert_reply(f, "HPERSIST none FIELDS 1 a", "*1\r\n:-2\r\n");
    assert_reply(f, "HGETDEL h FOO 1 a", NO_FIELDS);
    assert_reply(f, "HGETEX h EX 10 FIELDS", BAD_COUNT);
    assert_reply(f, "HGETEX h PERSIST FOO 1", NO_FIELDS);
}

static void hash_expire__a_new_value_has_none(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ENCODINGS; i++) {
        begin(f, i);
        assert_reply(f, "HEXPIRE h 10 FIELDS 2 a b", "*2\r\n:1\r\n:1\r\n");
        assert_reply(f, "HSET h a 5", ZERO);
        assert_reply(f, "HINCRBY h b 5", ":7\r\n"); /* but a counter keeps it */
        assert_reply(f, "HTTL h FIELDS 2 a b", "*2\r\n:-1\r\n:10\r\n");
        assert_reply(f, "HDEL h b", ONE);
        assert_reply(f, "HSET h b 5", ONE);
        assert_reply(f, "HTTL h FIELDS 1 b", "*1\r\n:-1\r\n");
    }
}

static void hash_expire__a_key_without_living_fields_is_gone(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HSET h a 1 b 2", ":2\r\n");
    assert_reply(f, "EXPIRE h 1000", ONE);
    assert_reply(f, "HEXPIRE h 10 FIELDS 2 a b", "*2\r\n:1\r\n:1\r\n");
    fixture_advance(f, 10000);
    assert_reply(f, "EXISTS h", ZERO);
    assert_reply(f, "TYPE h", "+none\r\n");
    assert_reply(f, "KEYS *", "*0\r\n");
    assert_reply(f, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_reply(f, "RANDOMKEY", NIL);
    assert_reply(f, "TTL h", ":-2\r\n");
    assert_reply(f, "EXPIRE h 5", ZERO);
    assert_reply(f, "RENAME h g", "-ERR no such key\r\n");
    assert_reply(f, "COPY h g", ZERO);
    assert_reply(f, "DEL h", ZERO);
    assert_reply(f, "HSET h a 1", ONE);
    assert_reply(f, "TTL h", ":-1\r\n");
    assert_reply(f, "HEXPIRE h 10 FIELDS 1 a", "*1\r\n:1\r\n");
    fixture_advance(f, 10000);
    assert_reply(f, "SET h v NX", OK);
    assert_reply(f, "GET h", "$1\r\nv\r\n");
}

static void hash_expire__hgetex(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ENCODINGS; i++) {
        begin(f, i);
        assert_reply(f, "HGETEX h FIELDS 2 a none", "*2\r\n$1\r\n1\r\n$-1\r\n");
        assert_reply(f, "HGETEX h EX 10 FIELDS 2 a none", "*2\r\n$1\r\n1\r\n$-1\r\n");
        assert_reply(f, "HTTL h FIELDS 2 a b", "*2\r\n:10\r\n:-1\r\n");
        assert_reply(f, "HGETEX h FIELDS 1 a", "*1\r\n$1\r\n1\r\n");
        assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:10\r\n");
        assert_reply(f, "HGETEX h PERSIST FIELDS 1 a", "*1\r\n$1\r\n1\r\n");
        assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
        assert_reply(f, "HGETEX h PXAT 1 FIELDS 1 a", "*1\r\n$1\r\n1\r\n");
        assert_reply(f, "HEXISTS h a", ZERO);
        assert_reply(f, "HGETEX none EX 10 FIELDS 1 a", "*1\r\n$-1\r\n");
    }
}

static void hash_expire__hsetex(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ENCODINGS; i++) {
        begin(f, i);
        assert_reply(f, "HSETEX h EX 10 FIELDS 2 a 5 d 6", ONE);
        assert_reply(f, "HTTL h FIELDS 3 a b d", "*3\r\n:10\r\n:-1\r\n:10\r\n");
        assert_reply(f, "HSETEX h KEEPTTL FIELDS 1 a 6", ONE);
        assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:10\r\n");
        assert_reply(f, "HSETEX h FIELDS 1 a 7", ONE);
        assert_reply(f, "HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
        assert_reply(f, "HSETEX h FNX FIELDS 2 x 1 a 8", ZERO);
        assert_reply(f, "HSETEX h FXX FIELDS 2 x 1 a 8", ZERO);
        assert_reply(f, "HGET h a", "$1\r\n7\r\n");
        assert_reply(f, "HSETEX h PX 5 FXX FIELDS 1 a 8", ONE);
        assert_reply(f, "HSETEX h fnx FIELDS 1 x 9", ONE);
        assert_reply(f, "HSETEX h EXAT 1 FIELDS 2 a 8 y 8", ONE); /* set and over */
        assert_reply(f, "HMGET h a x y", "*3\r\n$-1\r\n$1\r\n9\r\n$-1\r\n");
    }
    assert_reply(f, "HSETEX none FXX FIELDS 1 a 1", ZERO);
    assert_reply(f, "HSETEX none EXAT 1 FIELDS 1 a 1", ONE);
    assert_reply(f, "EXISTS none", ZERO);
}

static void hash_expire__hsetex_mistakes(void **state)
{
    struct fixture *f = *state;
#define ARITY "-ERR wrong number of arguments for 'hsetex' command\r\n"
    assert_reply(f, "HSETEX h FIELDS 2 a b c", ARITY);
    assert_reply(f, "HSETEX h FIELDS 1 a b c d", ARITY);
    assert_reply(f, "HSETEX h EX 10 FIELDS 1 a", ARITY);
    assert_reply(f, "HSETEX h FIELDS 0 a b", "-ERR invalid number of fields\r\n");
    assert_reply(f, "HSETEX h FOO FIELDS 1 a b", "-ERR unknown argument: FOO\r\n");
    assert_reply(f, "HSETEX h EX 1 PX 1 FIELDS 1 a b",
                 "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n");
    assert_reply(f, "HSETEX h FXX FNX FIELDS 1 a b",
                 "-ERR Only one of FXX or FNX arguments can be specified\r\n");
    assert_reply(f, "HSETEX h FXX FOO 1 EX", "-ERR unknown argument: FOO\r\n");
    assert_reply(f, "HSETEX h FXX KEEPTTL FXX x", /* mistakes are found from left to right */
                 "-ERR Only one of FXX or FNX arguments can be specified\r\n");
    assert_reply(f, "HSETEX h EX -1 FIELDS 1 a b", "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(f, "EXISTS h", ZERO);
}

static void hash_expire__hgetdel(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ENCODINGS; i++) {
        begin(f, i);
        assert_reply(f, "HGETDEL h FIELDS 3 a none a", "*3\r\n$1\r\n1\r\n$-1\r\n$-1\r\n");
        assert_reply(f, "HEXISTS h a", ZERO);
    }
    assert_reply(f, "DEL h", ONE);
    assert_reply(f, "HSET h b 2 c 3", ":2\r\n");
    assert_reply(f, "HGETDEL h FIELDS 2 b c", "*2\r\n$1\r\n2\r\n$1\r\n3\r\n");
    assert_reply(f, "EXISTS h", ZERO);
    assert_reply(f, "HGETDEL h FIELDS 1 b", "*1\r\n$-1\r\n");
}

/* The events that `line` causes, in order and with a blank behind each. */
static void assert_events(struct fixture *f, struct client *listener, const char *line,
                          const char *expected)
{
    static const char prefix[] = "__keyevent@0__:";
    char events[200] = "";
    buf_clear(&listener->out);
    (void)client_run(f, &f->client, line);
    (void)buf_append_char(&listener->out, '\0');
    const char *at = buf_view(&listener->out).data;
    while ((at = strstr(at, prefix)) != NULL) {
        at += strlen(prefix);
        if (*at != '*') { /* the pattern */
            strncat(events, at, (size_t)(strchr(at, '\r') - at));
            strcat(events, " ");
        }
    }
    if (strcmp(events, expected) != 0) {
        print_error("%s\n  got    %s\n  wanted %s\n", line, events, expected);
        fail();
    }
}

static void hash_expire__events(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char letters[] = "EAn";
    f->options.notify_keyspace_events = letters;
    assert_true(notify_configure(&f->env));
    client_open(f, &c);
    (void)client_run(f, &c, "PSUBSCRIBE __keyevent@0__:*");
    assert_events(f, &c, "HSET h a 1 b 2", "new hset ");
    assert_events(f, &c, "HMSET h a 1", "hset ");
    assert_events(f, &c, "HSETNX h a 1", "");
    assert_events(f, &c, "HSETNX h c 1", "hset ");
    assert_events(f, &c, "HINCRBY h a 1", "hincrby ");
    assert_events(f, &c, "HINCRBY h a x", "");
    assert_events(f, &c, "HINCRBYFLOAT h a 1", "hincrbyfloat ");
    assert_events(f, &c, "HDEL h none", "");
    assert_events(f, &c, "HDEL h c", "hdel ");
    assert_events(f, &c, "HPEXPIRE h 1000 FIELDS 1 a", "hexpire ");
    assert_events(f, &c, "HPEXPIRE h 1000 NX FIELDS 1 a", "");
    assert_events(f, &c, "HPERSIST h FIELDS 1 a", "hpersist ");
    assert_events(f, &c, "HPERSIST h FIELDS 1 a", "");
    assert_events(f, &c, "HGETEX h PX 1000 FIELDS 1 a", "hexpire ");
    assert_events(f, &c, "HGETEX h PERSIST FIELDS 1 a", "hpersist ");
    assert_events(f, &c, "HGETEX h FIELDS 1 a", "");
    assert_events(f, &c, "HSETEX h PX 1000 FIELDS 1 c 1", "hset hexpire ");
    assert_events(f, &c, "HSETEX h FIELDS 1 d 1", "hset ");
    assert_events(f, &c, "HPEXPIRE h 0 FIELDS 1 a", "hdel ");
    fixture_advance(f, 1000);
    assert_events(f, &c, "HLEN h", "hexpired ");
    assert_events(f, &c, "HPEXPIRE h 500 FIELDS 1 d", "hexpire ");
    assert_events(f, &c, "HGETDEL h FIELDS 1 b", "hdel ");
    fixture_advance(f, 500);
    buf_clear(&c.out);
    assert_false(types_tick(f->types, 1000));
    (void)buf_append_char(&c.out, '\0');
    assert_non_null(strstr(buf_view(&c.out).data, "hexpired"));
    assert_non_null(strstr(buf_view(&c.out).data, "del"));
    assert_events(f, &c, "HSET h a 1", "new hset ");
    assert_events(f, &c, "HDEL h a", "hdel del ");
    client_close(f, &c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hash_expire__lifetimes),
        TEST(hash_expire__at_a_time),
        TEST(hash_expire__conditions),
        TEST(hash_expire__mistakes),
        TEST(hash_expire__a_new_value_has_none),
        TEST(hash_expire__a_key_without_living_fields_is_gone),
        TEST(hash_expire__hgetex),
        TEST(hash_expire__hsetex),
        TEST(hash_expire__hsetex_mistakes),
        TEST(hash_expire__hgetdel),
        TEST(hash_expire__events),
    };
    return cmocka_run_group_tests_name("command/hash_expire", tests, NULL, NULL);
}
