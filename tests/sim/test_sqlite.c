/* The SQLite driver against real files: what loads, what is refused, what happens when the file is
 * not well. */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define MAXMEMORY (64 * 1024 * 1024)

struct fixture {
    struct world w;
    char folder[64];
    char path[128];
};

static void sql_at(const char *path, const char *sql)
{
    sqlite3 *db;
    char *text = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void make_tables(const char *path)
{
    sql_at(
        path,
        "BEGIN; CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, score REAL, photo BLOB,"
        " is_admin BOOLEAN, prefs JSON, org INTEGER);"
        "INSERT INTO users VALUES (1, 'Ann', 1.5, x'00ff10', 1, '{\"a\": [1, 2]}', 7);"
        "INSERT INTO users VALUES (2, NULL, NULL, NULL, NULL, NULL, 7);"
        "INSERT INTO users VALUES (3, 'say \"hi\"' || char(10, 9, 1) || 'ü€😀', 0.1, x'', 0, 'no "
        "json', 8);"
        "INSERT INTO users VALUES (4, CAST(x'ff41fe' AS TEXT), 9e999, x'01', 2, '[]', 9);"
        "INSERT INTO users (id, score) VALUES (5, 2);"
        "INSERT INTO users VALUES (9007199254740993, '', 1234567890.25, zeroblob(3), 0, 'null', 9);"
        "CREATE TABLE pages (slug TEXT PRIMARY KEY, body TEXT, ttl);"
        "INSERT INTO pages VALUES ('home', 'welcome', 60), ('big', printf('%.*c', 3000000, "
        "'x'), NULL),"
        " ('dead', 'x', -5), ('zero', 'x', 0), ('text', 'x', '90s'), ('nan', 'x', 'soon'); COMMIT");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    strcpy(f->folder, "/tmp/tarn-sqlite-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    make_tables(f->path);
    world_open(&f->w, MAXMEMORY);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    world_check_identities(&f->w);
    world_close(&f->w);
    (void)snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void add_source(struct fixture *f)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "source shop sqlite %s load-timeout 300ms connect-timeout 200ms", f->path);
    world_line(&f->w, text);
}

static void assert_reads(struct fixture *f, const char *key, const char *value)
{
    struct reader r = {0};
    world_read(&f->w, key, &r);
    if (r.status != LOAD_FOUND || strcmp(r.text, value) != 0) {
        fail_msg("%s: status %d, '%s' instead of '%s'", key, (int)r.status, r.text, value);
    }
}

static void assert_absent(struct fixture *f, const char *key)
{
    struct reader r = {0};
    world_read(&f->w, key, &r);
    assert_int_equal(r.status, LOAD_ABSENT);
}

static void assert_fails(struct fixture *f, const char *key, const char *word)
{
    struct reader r = {0};
    world_read(&f->w, key, &r);
    if (r.status != LOAD_FAILED || strncmp(r.text, word, strlen(word)) != 0) {
        fail_msg("%s: status %d, '%s' instead of %s", key, (int)r.status, r.text, word);
    }
}

static void sqlite__loads_once_and_then_hits(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(&f->w, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id'");
    world_start(&f->w);
    assert_reads(f, "user:1", "Ann");
    assert_reads(f, "user:1", "Ann");
    assert_int_equal(world_map_stat(&f->w, "user", "loads"), 1);
    assert_int_equal(world_map_stat(&f->w, "user", "hits"), 1);
    assert_int_equal(world_map_stat(&f->w, "user", "fills"), 1);
    assert_absent(f, "user:77");
    assert_absent(f, "user:77");
    assert_int_equal(world_map_stat(&f->w, "user", "loads"), 2);
    assert_int_equal(world_map_stat(&f->w, "user", "negative_hits"), 1);
    assert_absent(f, "user:042"); /* an ordinary key */
    assert_int_equal(world_map_stat(&f->w, "user", "loads"), 2);
}

static void sqlite__missing_file_is_down_and_comes_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unlink(f->path), 0);
    add_source(f);
    world_line(&f->w,
               "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id' error-hold 0");
    world_start(&f->w);
    assert_fails(f, "user:1", "SOURCEDOWN map 'user' source 'shop' after 0 ms id=");
    assert_int_equal(access(f->path, F_OK), -1); /* not created */
    make_tables(f->path);
    assert_reads(f, "user:1", "Ann");
    assert_int_equal(world_source_stat(&f->w, "shop", "reconnects"), 1);
}

static void sqlite__locked_file_times_out_within_the_deadline(void **state)
{
    struct fixture *f = *state;
    sqlite3 *writer;
    struct reader r = {0};
    add_source(f);
    world_line(&f->w,
               "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id' error-hold 0");
    world_start(&f->w);
    assert_int_equal(sqlite3_open(f->path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    int64_t before_us = clock_now_us();
    assert_fails(f, "user:1", "SOURCETIMEOUT");
    int64_t took_us = clock_now_us() - before_us;
    assert_in_range(took_us, 250000, 1500000); /* load-timeout is 300 ms */
    /* A lock that goes away in time is waited for. */
    (void)world_get(&f->w, "user:1", &r);
    sources_flush(f->w.sources);
    assert_int_equal(sqlite3_exec(writer, "UPDATE users SET name = 'Bea' WHERE id = 1; COMMIT",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    world_await(&f->w, &r);
    assert_string_equal(r.text, "Bea");
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

/* Rule 46. */
static void sqlite__start_with_locked_file_does_not_hang(void **state)
{
    struct fixture *f = *state;
    sqlite3 *writer;
    add_source(f);
    world_line(&f->w, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id'");
    world_line(&f->w, "map page shop page:{s:slug} 'SELECT body FROM pages WHERE slug = $s'");
    assert_int_equal(sqlite3_open(f->path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    int64_t before_us = clock_now_us();
    world_start(&f->w); /* connect-timeout is 200 ms */
    assert_true(clock_now_us() - before_us < 1500000);
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
    assert_reads(f, "user:1", "Ann");
}

static void overwrite(const char *path, const char *text)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    }
    assert_int_equal(fclose(file), 0);
}

static void sqlite__broken_file_is_an_error_and_recovers(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(
        &f->w,
        "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id' error-hold 0 ttl 0");
    world_start(&f->w);
    assert_reads(f, "user:1", "Ann");
    overwrite(f->path, "this is not a database at all ");
    assert_fails(f, "user:1", "SOURCEDOWN");
    assert_fails(f, "user:1", "SOURCEDOWN");
    assert_int_equal(unlink(f->path), 0);
    assert_fails(f, "user:1", "SOURCEDOWN");
    make_tables(f->path);
    assert_reads(f, "user:1", "Ann");
}

static void sqlite__replaced_file_is_noticed(void **state)
{
    struct fixture *f = *state;
    char other[160];
    add_source(f);
    world_line(&f->w, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id' ttl 0");
    world_start(&f->w);
    assert_reads(f, "user:1", "Ann");
    (void)snprintf(other, sizeof(other), "%s.new", f->path);
    make_tables(other);
    sql_at(other, "UPDATE users SET name = 'New' WHERE id = 1");
    assert_int_equal(rename(other, f->path), 0);
    for (int i = 0; i < 4; i++) { /* on both threads */
        assert_reads(f, "user:1", "New");
    }
}

static void sqlite__endless_query_ends_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    add_source(f);
    world_line(&f->w, "map slow shop slow:{n:int} 'WITH RECURSIVE c(x) AS (SELECT $n UNION ALL "
                      "SELECT x + 1 FROM c) "
                      "SELECT count(*) FROM c' error-hold 0");
    world_line(&f->w, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id'");
    world_start(&f->w);
    int64_t before_us = clock_now_us();
    assert_fails(f, "slow:1", "SOURCETIMEOUT");
    assert_in_range(clock_now_us() - before_us, 250000, 1500000);
    /* The layer's own deadline interrupts as well, and the connection is free again soon after. */
    (void)world_load(&f->w, "slow:1", f->w.clock.mono_ms, &r);
    sources_flush(f->w.sources);
    f->w.clock.mono_ms += 300;
    sources_tick(f->w.sources);
    assert_int_equal(r.answers, 1);
    assert_reads(f, "user:1", "Ann");
    for (int i = 0; i < 1000 && world_source_stat(&f->w, "shop", "busy") > 0; i++) {
        world_turn(&f->w);
        usleep(1000);
    }
    assert_int_equal(world_source_stat(&f->w, "shop", "busy"), 0);
}

/* Rule 49. */
static void sqlite__hung_queries_do_not_delay_the_stop(void **state)
{
    struct fixture *f = *state;
    struct reader r[3] = {0};
    add_source(f);
    world_line(&f->w, "map slow shop slow:{n:int} 'WITH RECURSIVE c(x) AS (SELECT $n UNION ALL "
                      "SELECT x + 1 FROM c) "
                      "SELECT count(*) FROM c' load-timeout 10s");
    world_start(&f->w);
    for (int i = 0; i < 3; i++) {
        char key[] = {'s', 'l', 'o', 'w', ':', (char)('1' + i), '\0'};
        (void)world_load(&f->w, key, f->w.clock.mono_ms, &r[i]);
    }
    sources_flush(f->w.sources);
    int64_t before_us = clock_now_us();
    sources_stop(f->w.sources);
    assert_true(clock_now_us() - before_us < 900000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].answers, 1);
        assert_int_equal(strncmp(r[i].text, "SOURCEDOWN", 10), 0);
    }
}

static void sqlite__json_has_every_type(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(&f->w, "map u shop u:{id:int} 'SELECT * FROM users WHERE id = $id' as json");
    world_line(
        &f->w,
        "map x shop x:{id:int} 'SELECT id, photo FROM users WHERE id = $id' as json bytes hex");
    world_line(&f->w, "map r shop r:{id:int} 'SELECT name FROM users WHERE id = $id' as json "
                      "invalid-utf8 replace");
    world_start(&f->w);
    assert_reads(f, "u:1",
                 "{\"id\":1,\"name\":\"Ann\",\"score\":1.5,\"photo\":\"AP8Q\",\"is_admin\":true,"
                 "\"prefs\":{\"a\": [1, 2]},\"org\":7}");
    assert_reads(f, "u:2",
                 "{\"id\":2,\"name\":null,\"score\":null,\"photo\":null,\"is_admin\":null,"
                 "\"prefs\":null,\"org\":7}");
    assert_fails(f, "u:3", "SOURCEERR"); /* declared JSON, but is not */
    assert_fails(f, "u:4", "SOURCEERR"); /* not UTF-8 */
    assert_reads(f, "u:9007199254740993",
                 "{\"id\":9007199254740993,\"name\":\"\",\"score\":1234567890.25,"
                 "\"photo\":\"AAAA\",\"is_admin\":false,\"prefs\":null,\"org\":9}");
    assert_reads(f, "x:1", "{\"id\":1,\"photo\":\"00ff10\"}");
    assert_reads(f, "x:3", "{\"id\":3,\"photo\":\"\"}");
    assert_reads(f, "r:3", "{\"name\":\"say \\\"hi\\\"\\n\\t\\u0001ü€😀\"}");
    assert_reads(f, "r:4",
                 "{\"name\":\"\xef\xbf\xbd"
                 "A\xef\xbf\xbd\"}");
}

static void sqlite__string_is_the_column_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    add_source(f);
    world_line(&f->w, "map name shop name:{id:int} 'SELECT name FROM users WHERE id = $id'");
    world_line(&f->w, "map score shop score:{id:int} 'SELECT score FROM users WHERE id = $id'");
    world_line(&f->w, "map photo shop photo:{id:int} 'SELECT photo FROM users WHERE id = $id'");
    world_line(
        &f->w,
        "map flag shop flag:{id:int} 'SELECT is_admin FROM users WHERE id = $id' null empty");
    world_line(
        &f->w,
        "map must shop must:{id:int} 'SELECT is_admin FROM users WHERE id = $id' null error");
    world_line(&f->w,
               "map pref shop pref:{id:int} 'SELECT prefs FROM users WHERE id = $id' as raw");
    world_start(&f->w);
    assert_absent(f, "name:2"); /* NULL is absent by default, and remembered */
    assert_int_equal(world_map_stat(&f->w, "name", "negatives"), 1);
    assert_reads(f, "name:9007199254740993", "");
    assert_reads(f, "score:1", "1.5");
    assert_reads(f, "score:3", "0.1");
    assert_reads(f, "score:4", "inf");
    assert_reads(f, "score:5", "2.0");
    assert_reads(f, "flag:1", "1");
    assert_reads(f, "flag:2", "");
    assert_reads(f, "flag:4", "2");
    assert_fails(f, "must:2", "SOURCEERR");
    assert_reads(f, "pref:1", "{\"a\": [1, 2]}");
    assert_absent(f, "pref:2");
    assert_fails(f, "pref:3", "SOURCEERR");
    world_read(&f->w, "photo:1", &r);
    assert_int_equal(r.len, 3);
    assert_memory_equal(r.text, "\x00\xff\x10", 3);
    assert_reads(f, "photo:3", "");
}

static void sqlite__rows_are_one_unless_said_otherwise(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(&f->w,
               "map org shop org:{o:int} 'SELECT name FROM users WHERE org = $o ORDER BY id'");
    world_line(
        &f->w,
        "map one shop one:{o:int} 'SELECT name FROM users WHERE org = $o ORDER BY id' rows first");
    world_start(&f->w);
    assert_fails(f, "org:7", "SOURCEERR");
    assert_false(world_has(&f->w, "org:7"));
    assert_reads(f, "one:7", "Ann");
}

static void sqlite__large_row_is_answered_or_refused(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    add_source(f);
    world_line(
        &f->w,
        "map page shop page:{s:slug} 'SELECT body FROM pages WHERE slug = $s' max-value 2mb");
    world_line(
        &f->w,
        "map small shop small:{s:slug} 'SELECT body FROM pages WHERE slug = $s' max-row 2mb");
    world_line(&f->w, "map hex shop hex:{n:int} 'SELECT hex(zeroblob($n))' max-row 100kb");
    world_line(&f->w, "map slug shop slug:{s:slug} 'SELECT slug FROM pages WHERE slug = $s' "
                      "max-row 100kb");
    world_start(&f->w);
    assert_reads(f, "slug:big", "big"); /* a large column that is not asked for does not count */
    size_t before = sources_memory(f->w.sources);
    world_read(&f->w, "page:big", &r);
    assert_int_equal(r.status, LOAD_FOUND);
    assert_int_equal(r.len, 3000000);
    assert_false(world_has(&f->w, "page:big"));
    assert_int_equal(world_map_stat(&f->w, "page", "nofill"), 1);
    assert_fails(f, "small:big", "SOURCEBIG");
    assert_reads(f, "small:home", "welcome");
    assert_fails(f, "hex:2000000000", "SOURCEBIG");
    world_pass(&f->w, 1000); /* held errors go */
    assert_int_equal(sources_memory(f->w.sources), before);
}

/* Rule 13. */
static void sqlite__ttl_column_rules_the_entry(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    add_source(f);
    world_line(
        &f->w,
        "map page shop page:{s:slug} 'SELECT body, ttl FROM pages WHERE slug = $s' ttl-column ttl "
        "jitter 0% ttl 10s max-value 4mb");
    world_start(&f->w);
    assert_reads(f, "page:home", "welcome");
    assert_int_equal(world_life(&f->w, "page:home"), 60000);
    assert_reads(f, "page:text", "x");
    assert_int_equal(world_life(&f->w, "page:text"), 90000);
    world_read(&f->w, "page:big", &r); /* NULL: the map's */
    assert_int_equal(world_life(&f->w, "page:big"), 10000);
    assert_reads(f, "page:dead", "x");
    assert_reads(f, "page:zero", "x");
    assert_reads(f, "page:nan", "x");
    assert_false(world_has(&f->w, "page:dead"));
    assert_false(world_has(&f->w, "page:zero"));
    assert_false(world_has(&f->w, "page:nan"));
    /* A longer life than the map's is not cut by judging. */
    world_pass(&f->w, 30000);
    assert_true(world_get(&f->w, "page:home", &r));
}

/* Rule 13. The moment is Unix time or a timestamp; what has ended is answered only. */
static void sqlite__expires_at_column_ends_the_entry(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    sql_at(f->path, "CREATE TABLE ends (slug TEXT, body TEXT, at TEXT); INSERT INTO ends VALUES "
                    "('50', 'Ann', '2023-11-14 22:13:50'), ('19', 'Ann', '2023-11-14 22:13:19'), "
                    "('soon', 'Ann', 'soon')");
    add_source(f);
    world_line(&f->w,
               "map ends shop ends:{at:int} 'SELECT name, $at AS ends FROM users WHERE id = 1' "
               "expires-at-column ends jitter 0% ttl 100s");
    world_line(&f->w, "map text shop text:{s:slug} 'SELECT body, at FROM ends WHERE slug = $s' "
                      "expires-at-column at jitter 0% ttl 100s");
    world_start(&f->w);
    assert_reads(f, "ends:1700000060", "Ann"); /* the clock says 1700000000 */
    assert_int_equal(world_life(&f->w, "ends:1700000060"), 60000);
    assert_reads(f, "ends:1700000500", "Ann");
    assert_int_equal(world_life(&f->w, "ends:1700000500"), 100000); /* never beyond the ttl */
    assert_reads(f, "text:50", "Ann");
    assert_int_equal(world_life(&f->w, "text:50"), 30000);
    static const char *const ended[] = {"ends:1700000000", "ends:1600000000", "ends:-1",
                                        "ends:0",          "text:19",         "text:soon"};
    for (size_t i = 0; i < sizeof(ended) / sizeof(ended[0]); i++) {
        assert_reads(f, ended[i], "Ann");
        assert_false(world_has(&f->w, ended[i]));
    }
    world_pass(&f->w, 60000);
    assert_false(world_get(&f->w, "ends:1700000060", &r));
    world_await(&f->w, &r);
}

/* Rule 32. */
static void sqlite__hostile_keys_are_only_values(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(&f->w, "map t shop t:{i:int}:{s:slug}:{b:bytes} "
                      "'SELECT typeof($i) || typeof($s) || typeof($b) || length($b)'");
    world_line(&f->w, "map echo shop echo:{s:str} 'SELECT $s'");
    world_start(&f->w);
    assert_reads(f, "t:5:5:a:b", "integertextblob3");
    assert_reads(f, "echo:'; DROP TABLE users; --", "'; DROP TABLE users; --");
    assert_reads(f, "echo:$1 ?1 :x \"", "$1 ?1 :x \"");
    assert_reads(f, "echo:\xff\xfe", "\xff\xfe");
    assert_int_equal(world_source_stat(&f->w, "shop", "errors"), 0);
}

static void refuses_map(struct fixture *f, const char *sql, const char *part)
{
    struct world w;
    char text[512];
    world_open(&w, MAXMEMORY);
    (void)snprintf(text, sizeof(text), "source shop sqlite %s", f->path);
    world_line(&w, text);
    (void)snprintf(text, sizeof(text), "map bad shop bad:{id:int} '%s'", sql);
    world_line(&w, text);
    if (sources_start(w.sources, &w.err) == 0) {
        fail_msg("accepted: %s", sql);
    }
    if (strstr(w.err.text, part) == NULL || strstr(w.err.text, "map bad") == NULL) {
        fail_msg("%s: '%s' does not say '%s'", sql, w.err.text, part);
    }
    world_close(&w);
}

/* Rule 34. */
static void sqlite__refuses_what_is_not_one_reading_query(void **state)
{
    struct fixture *f = *state;
    refuses_map(f, "SELECT name FROM users WHERE id = $id; DELETE FROM users",
                "more than one statement");
    refuses_map(f, "DELETE FROM users WHERE id = $id", "only read");
    refuses_map(f, "INSERT INTO users (id) VALUES ($id) RETURNING id", "only read");
    refuses_map(f, "PRAGMA table_info($id)", "");
    refuses_map(f, "ATTACH $id AS x", "not authorized");
    refuses_map(f, "SELECT name FROM users WHERE id = $id AND name = :name", "not in the pattern");
    refuses_map(f, "SELECT missing FROM users WHERE id = $id", "no such column");
    refuses_map(f, "SELECT name FROM nowhere WHERE id = $id", "no such table");
    refuses_map(f, "SELECT id, name FROM users WHERE id = $id", "exactly one column");
    refuses_map(f, "SELEKT $id", "syntax error");
}

static void sqlite__accepts_reading_in_many_forms(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(&f->w, "map a shop a:{id:int} 'SELECT name FROM users WHERE id = $id ; -- done ; '");
    world_line(&f->w, "map b shop b:{id:int} 'WITH u AS (SELECT * FROM users) SELECT name FROM u "
                      "WHERE id = $id'");
    world_line(&f->w,
               "map c shop c:{s:slug} 'SELECT count(*) FROM json_each(json_array($s, 2, 3))'");
    world_line(&f->w, "map d shop d:{id:int} 'VALUES ($id)'");
    world_start(&f->w);
    assert_reads(f, "a:1", "Ann");
    assert_reads(f, "b:1", "Ann");
    assert_reads(f, "c:x", "3");
    assert_reads(f, "d:12", "12");
}

/* Rule 35. */
static void sqlite__schema_changes_are_followed(void **state)
{
    struct fixture *f = *state;
    add_source(f);
    world_line(
        &f->w,
        "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id' ttl 0 error-hold 0");
    world_line(&f->w, "map page shop page:{s:slug} 'SELECT body FROM pages WHERE slug = $s' ttl 0");
    world_start(&f->w);
    assert_reads(f, "user:1", "Ann");
    sql_at(f->path, "ALTER TABLE users ADD COLUMN extra TEXT");
    assert_reads(f, "user:1", "Ann");
    sql_at(f->path, "ALTER TABLE users RENAME COLUMN name TO full_name");
    assert_fails(f, "user:1", "SOURCEERR");
    assert_fails(f, "user:1", "SOURCEERR");
    assert_reads(f, "page:home", "welcome"); /* other maps are untouched */
    sql_at(f->path, "ALTER TABLE users RENAME COLUMN full_name TO name");
    assert_reads(f, "user:1", "Ann");
}

static void sqlite__writer_in_wal_mode_does_not_block(void **state)
{
    struct fixture *f = *state;
    sqlite3 *writer;
    sql_at(f->path, "PRAGMA journal_mode = WAL");
    add_source(f);
    world_line(&f->w, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id' ttl 0");
    world_start(&f->w);
    assert_int_equal(sqlite3_open(f->path, &writer), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(writer, "BEGIN IMMEDIATE; UPDATE users SET name = 'Bea'", NULL, NULL, NULL),
        SQLITE_OK);
    assert_reads(f, "user:1", "Ann");
    assert_int_equal(sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_reads(f, "user:1", "Bea");
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

static void sqlite__ping_and_test_ask_the_database(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    struct load_result now;
    add_source(f);
    world_line(&f->w, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id'");
    world_start(&f->w);
    world_prepare(&f->w, &r);
    assert_int_equal(sources_ping(f->w.sources, strview_str("shop"), &r.waiter, &now), LOAD_WAITS);
    world_await(&f->w, &r);
    assert_string_equal(r.text, "PONG");
    world_prepare(&f->w, &r);
    struct source_map *m = sources_map_by_name(f->w.sources, strview_str("user"));
    assert_int_equal(sources_test(f->w.sources, m, strview_str("user:1"), &r.waiter, &now),
                     LOAD_WAITS);
    world_await(&f->w, &r);
    assert_string_equal(r.text, "Ann");
    assert_false(world_has(&f->w, "user:1"));
    assert_int_equal(unlink(f->path), 0);
    world_prepare(&f->w, &r);
    assert_int_equal(sources_ping(f->w.sources, strview_str("shop"), &r.waiter, &now), LOAD_WAITS);
    world_await(&f->w, &r);
    assert_int_equal(r.status, LOAD_FAILED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(sqlite__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(loads_once_and_then_hits),
        CASE(missing_file_is_down_and_comes_back),
        CASE(locked_file_times_out_within_the_deadline),
        CASE(start_with_locked_file_does_not_hang),
        CASE(broken_file_is_an_error_and_recovers),
        CASE(replaced_file_is_noticed),
        CASE(endless_query_ends_at_the_deadline),
        CASE(hung_queries_do_not_delay_the_stop),
        CASE(json_has_every_type),
        CASE(string_is_the_column_as_it_is),
        CASE(rows_are_one_unless_said_otherwise),
        CASE(large_row_is_answered_or_refused),
        CASE(ttl_column_rules_the_entry),
        CASE(expires_at_column_ends_the_entry),
        CASE(hostile_keys_are_only_values),
        CASE(refuses_what_is_not_one_reading_query),
        CASE(accepts_reading_in_many_forms),
        CASE(schema_changes_are_followed),
        CASE(writer_in_wal_mode_does_not_block),
        CASE(ping_and_test_ask_the_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
