"""Every driver against its real database: the same cases, one class for each pair.

To add a driver, add its origin to ORIGINS. Cases that need a network or accounts are made for origins that have them.
"""
import json
import os
import time
import unittest

from database import check_at_rest, fields
from driver_case import OriginCase, maps
from driver_writes import Bulk, NetworkWrites, Writes
from origins import BIG, BYTES, EMOJI, MariaDBOrigin, PostgresOrigin, SqliteOrigin
from proxy import Proxy
from redis_origin import RedisOrigin
from resp import Error
from tarn import Tarn, run_tarn, until

ORIGINS = [SqliteOrigin, PostgresOrigin, MariaDBOrigin]


class Shapes(OriginCase):
    def tearDown(self):
        check_at_rest(self)

    def test_values_of_every_type(self):
        for key, value in (("name:1", b"one"), ("name:2", None), ("name:3", b""), ("name:4", EMOJI.encode()),
                           ("picture:1", BYTES), ("picture:2", None), ("picture:3", b""), ("qty:1", str(BIG).encode()),
                           ("qty:4", str(-BIG).encode()), ("price:1", b"12345678901234567890.125"), ("qty:3", b"0"),
                           ("name:5", None), ("whole:5", None), ("whole:1", self.origin.whole.encode())):
            with self.subTest(key=key):
                self.assertEqual(self.c.cmd("GET", key), value)
                self.assertEqual(self.c.cmd("GET", key), value, "from memory")
        loads = {name: fields(self.c.cmd("SOURCE", "INFO", name))["loads"] for name in ("name", "picture")}
        self.assertEqual(loads, {"name": 5, "picture": 3})

    def test_null_in_json_is_null(self):
        null = "null"
        self.assertEqual(self.c.cmd("GET", "whole:2").decode(),
                         f'{{"id":2,"name":{null},"qty":{null},"price":{null},"doc":{null},"picture":{null},"active":{null}}}')

    def test_hashes_and_many_rows(self):
        self.assertEqual(self.c.cmd("HGETALL", "hash:1"), [b"id", b"1", b"name", b"one", b"picture", BYTES, b"active", b"1"])
        self.assertEqual(self.c.cmd("HGETALL", "hash:2"), [b"id", b"2"])
        self.assertEqual(self.c.cmd("HGETALL", "hash:9"), [])
        self.assertEqual(self.c.cmd("GET", "rows:3"), f'[{{"id":3,"name":""}},{{"id":4,"name":{json.dumps(EMOJI, ensure_ascii=False)}}}]'.encode())
        self.assertEqual(self.c.cmd("GET", "rows:2")[:40], b'[{"id":2,"name":null},{"id":3,"name":""}')
        self.error("rows:1", "SOURCEERR")

    def test_extreme_keys_are_rows_that_are_not_there(self):
        for key in ("name:9223372036854775807", "name:-9223372036854775808", "qty:2147483648", "name:0", "name:-1"):
            self.assertIsNone(self.c.cmd("GET", key), key)
        self.assertEqual(self.state(), b"up")

    def test_text_parameters_are_only_ever_values(self):
        """Rule 32."""
        for text in ("'", '"', "''; DROP TABLE item; --", "\\", "$1", "%s", "?", "x" * 256, "\u00e9\U0001f600"):
            with self.subTest(text=text):
                self.assertIsNone(self.c.cmd("GET", "text:" + text))
        self.assertEqual(self.c.cmd("GET", "text:one"), b"1")
        self.assertEqual(self.c.cmd("GET", "text:" + EMOJI), b"4")

    def test_two_rows_are_an_error_of_that_key(self):
        """Rule 36."""
        self.assertEqual(self.c.cmd("GET", "many:4"), EMOJI.encode())
        self.error("many:1", "SOURCEERR")
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")

    def test_what_does_not_match_the_pattern_asks_nobody(self):
        """Rule 33."""
        before = fields(self.c.cmd("SOURCE", "INFO", "shop"))["loads"]
        for key in ("name:01", "name: 1", "name:1x", "name:", "name:99999999999999999999"):
            self.assertIsNone(self.c.cmd("GET", key))
        self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "shop"))["loads"], before)

    def test_a_large_row_is_answered_and_a_huge_one_is_an_error(self):
        """Rule 45."""
        self.assertEqual(self.c.cmd("GET", "large:2000000"), b"x" * 2000000)
        self.assertEqual(self.c.cmd("EXISTS", "large:9"), 1)
        before = int(self.info("memory")["used_memory"])
        for _ in range(3):
            self.error("large:5000000", "SOURCEBIG")
            time.sleep(0.03)  # error-hold
        check_at_rest(self)
        self.assertLess(int(self.info("memory")["used_memory"]), before + 1000000)
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")

    def test_many_at_once(self):
        with self.tarn.connect() as c:
            c.send(b"".join(b"GET name:%d\r\n" % (i % 200 + 1) for i in range(2000)))
            replies = c.replies(2000)
        self.assertEqual(replies[:4], [b"one", None, b"", EMOJI.encode()])
        self.assertEqual(replies[4:200], [None] * 196)
        self.assertEqual(replies, replies[:200] * 10)

    def test_a_mistake_in_the_query_refuses_the_start(self):
        """Rule 34."""
        for sql, form, problem in (("SELECT name FROM nosuch WHERE id = $id", "string", "nosuch"),
                                   ("SELECT name FROM item WHERE id = $id; SELECT 1", "string", ""),
                                   ("DELETE FROM item WHERE id = $id", "string", ""),
                                   ("INSERT INTO item (id) VALUES ($id)", "string", ""),
                                   ("SELECT name, id FROM item WHERE id = $id", "string", "one column"),
                                   ("SELECT name, name FROM item WHERE id = $id", "json", "the same name"),
                                   ("SELECT name, qty AS name FROM item WHERE id = $id", "hash", "the same name"),
                                   ("SELECT FROM item WHERE id = $id", "hash", "")):
            with self.subTest(sql=sql):
                path = os.path.join(self.tarn.dir, "wrong.conf")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(f'source shop {self.origin.driver} "{self.origin.dsn}"\nmap wrong shop "w:{{id:int}}" "{sql}" as {form}\n')
                done = run_tarn(path, "--port", "0", timeout=20)
                self.assertEqual(done.returncode, 78, done.stderr)
                self.assertIn("wrong", done.stderr)
                self.assertIn(problem, done.stderr)
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one", "the row is still there")

    def test_alter_table_is_not_noticed(self):
        """Rule 35."""
        self.addCleanup(self.origin.restore)
        self.assertEqual(self.c.cmd("GET", "whole:3")[:8], b'{"id":3,')
        keys = [b"GET whole:1", b"GET name:1", b"GET qty:3"]
        self.origin.execute("ALTER TABLE item ADD COLUMN later int" if self.origin.name == "sqlite"
                            else "ALTER TABLE item ALTER COLUMN name TYPE varchar(99)" if self.origin.name == "postgres"
                            else "ALTER TABLE item MODIFY name varchar(99)")
        self.assertEqual(self.c.cmd("FLUSHALL"), "OK")
        with self.tarn.connect() as c:
            c.send(b"\r\n".join(keys * 5) + b"\r\n")
            self.assertEqual(c.replies(15), [self.origin.whole.encode(), b"one", b"0"] * 5)
        self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "shop"))["errors"], 0)

    def test_a_dropped_column_is_an_error_of_its_map_alone(self):
        """Rule 35."""
        self.addCleanup(self.origin.restore)
        self.assertEqual(self.c.cmd("GET", "gone:1"), b"extra")
        self.origin.execute("ALTER TABLE item DROP COLUMN extra")
        self.c.cmd("DEL", "gone:1")
        self.error("gone:1", "SOURCEERR")
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.origin.execute("ALTER TABLE item ADD COLUMN extra varchar(20) DEFAULT 'again'")
        until(lambda: self.c.cmd("GET", "gone:1") == b"again", "the map to recover")
        self.assertEqual(self.state(), b"up")


class Absence(OriginCase):
    """Rule 31. NULL, an empty string, no row and a row without any value are four cases. Rows 2 (all NULL), 3 (all empty) and
    99 (none) of the maps below, from the database and then from memory."""

    def tearDown(self):
        check_at_rest(self)

    def test_strings(self):
        for key, value, exists, stored in (("name:2", None, 0, "negatives"), ("name:3", b"", 1, "fills"),
                                           ("name:99", None, 0, "negatives")):
            with self.subTest(key=key):
                before = fields(self.c.cmd("SOURCE", "INFO", "name"))[stored]
                for _ in range(2):
                    self.assertEqual(self.c.cmd("GET", key), value)
                    self.assertEqual(self.c.cmd("EXISTS", key), exists)
                    self.assertEqual(self.c.cmd("STRLEN", key), 0)
                    self.assertEqual(self.c.cmd("TYPE", key), "string" if exists else "none")
                self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "name"))[stored], before + 1)

    def test_null_as_empty_or_as_an_error(self):
        for _ in range(2):
            self.assertEqual(self.c.cmd("GET", "filled:2"), b"" if self.origin.tells_null else None)
            self.assertEqual(self.c.cmd("EXISTS", "filled:2"), int(self.origin.tells_null))
        for name in ("filled", "wanted"):
            self.assertEqual(self.c.cmd("GET", name + ":3"), b"")
            self.assertIsNone(self.c.cmd("GET", name + ":99"))
        if self.origin.tells_null:
            self.error("wanted:2", "SOURCEERR")
        else:
            self.assertIsNone(self.c.cmd("GET", "wanted:2"))

    def test_hashes(self):
        empty = [b"name", b"", b"picture", b""] if self.origin.tells_null else [b"name", b""]
        for key, pairs, exists in (("fields:2", [], int(self.origin.tells_null)), ("fields:3", empty, 1), ("fields:99", [], 0)):
            with self.subTest(key=key):
                for _ in range(2):
                    self.assertEqual(self.c.cmd("HGETALL", key), pairs)
                    self.assertEqual(self.c.cmd("EXISTS", key), exists)
                    self.assertEqual(self.c.cmd("HLEN", key), len(pairs) // 2)
                    self.assertEqual(self.c.cmd("HGET", key, "name"), b"" if pairs else None)
                    self.assertEqual(self.c.cmd("HEXISTS", key, "name"), int(bool(pairs)))
                    self.assertEqual(self.c.cmd("TYPE", key), "hash" if exists else "none")

    def test_objects(self):
        null = b'{"name":null,"picture":null}' if self.origin.tells_null else None
        empty = b'{"name":"","picture":""}' if self.origin.tells_null else b'{"name":"","picture":null}'
        for key, value in (("object:2", null), ("object:3", empty), ("object:99", None)):
            for _ in range(2):
                self.assertEqual(self.c.cmd("GET", key), value)
                self.assertEqual(self.c.cmd("EXISTS", key), int(value is not None))


class Failures(OriginCase):
    """The failure matrix, cold keys."""
    source_options = "load-timeout 2s connect-timeout 1s pool 2 breaker-open 50ms..200ms"

    def setUp(self):
        super().setUp()
        self.recovers()  # from the case before
        self.assertEqual(self.c.cmd("FLUSHALL"), "OK")

    def tearDown(self):
        check_at_rest(self)

    def test_down_at_start_and_up_without_traffic(self):
        """Rule 46."""
        self.origin.halt()
        try:
            with Tarn(config=self.config) as tarn, tarn.connect() as c:
                self.plain_keys_work(c)
                for _ in range(3):
                    self.error("name:1", "SOURCEDOWN", c=c, seconds=2)
                self.plain_keys_work(c)
                self.assertEqual(self.state(c), b"down")
                self.origin.start()
                if self.origin.has_network:
                    until(lambda: self.state(c) == b"up", "the state to be up again, without a load", 30)
                self.recovers(c)
        finally:
            if not self.is_up():
                self.origin.start()

    def test_a_wrong_query_is_told_when_the_database_is_up_at_last(self):
        """Rule 34. It could not be checked at the start: the map is checked with its first load, the others go on."""
        config = f'{self.config}\nmap wrong shop "wrong:{{id:int}}" "SELECT nosuch FROM item WHERE id = $id" error-hold 0'
        self.origin.halt()
        try:
            with Tarn(config=config) as tarn, tarn.connect() as c:
                self.error("wrong:1", "SOURCEDOWN", c=c)
                self.origin.start()
                self.recovers(c)
                for _ in range(2):
                    self.error("wrong:1", "SOURCEERR", c=c)
                self.assertEqual(self.state(c), b"up")
                self.assertEqual(c.cmd("GET", "name:3"), b"")
        finally:
            if not self.is_up():
                self.origin.start()

    def is_up(self):
        try:
            self.origin.execute("SELECT 1")
            return True
        except Exception:  # each library has its own
            return False

    def test_stopped_and_started_again(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.age()
        self.origin.halt()
        try:
            self.old_values_are_served()
            self.error("name:3", "SOURCEDOWN", seconds=2)
            start = time.monotonic()
            for _ in range(5):
                self.error("qty:1", "SOURCEDOWN")
            self.assertLess(time.monotonic() - start, 2, "later ones fail at once")
            self.assertEqual(self.c.cmd("GET", "name:1"), b"one", "what is in memory is served")
            self.plain_keys_work()
        finally:
            self.origin.start()
        self.recovers(key="name:3", value=b"")

    def test_a_slow_query_is_ended_on_both_sides(self):
        start = time.monotonic()
        self.error("slow:30", "SOURCETIMEOUT")
        self.assertGreater(time.monotonic() - start, 0.35)
        self.assertLess(time.monotonic() - start, 2)
        until(lambda: self.origin.running() in (0, None), "the database to have stopped the query", 10)
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")

    def test_more_slow_queries_than_connections(self):
        """The pool is exhausted: whoever waits for it times out too, and all is well afterwards."""
        waiting = [self.connect() for _ in range(12)]
        for i, c in enumerate(waiting):
            c.send(b"GET slow:%d\r\n" % (31 + i))
        self.plain_keys_work()
        for c in waiting:
            self.assertIn(c.reply().split()[0], ("SOURCETIMEOUT", "SOURCEDOWN"), "the breaker may open meanwhile")
        self.recovers()

    def test_plain_keys_do_not_notice_a_query_that_hangs(self):
        """Rule 37."""
        release = self.origin.hold_table()
        try:
            with self.tarn.connect() as c:
                c.send(b"GET qty:1\r\n")
                rounds = 0
                slowest = 0
                while c.is_quiet(0):
                    start = time.monotonic()
                    self.plain_keys_work()
                    slowest = max(slowest, time.monotonic() - start)
                    rounds += 1
                self.assertGreater(rounds, 50)
                self.assertLess(slowest, 0.5)
                self.assertEqual(c.reply().split()[0], "SOURCETIMEOUT")
        finally:
            release()
        self.recovers()

    def test_shutdown_with_loads_running(self):
        """Rule 49."""
        config = "shutdown-timeout 1\n" + self.config.replace("load-timeout 400ms", "load-timeout 30s")
        with Tarn(config=config) as tarn:
            with tarn.connect() as c:
                c.send(b"GET slow:20\r\n")
                with tarn.connect() as other:
                    until(lambda: fields(other.cmd("SOURCE", "INFO", "shop"))["busy"] == 1, "the load to be sent")
                start = time.monotonic()
                tarn.signal(15)
                self.assertEqual(tarn.wait_exit(), 0)
                self.assertLess(time.monotonic() - start, 5)


class NetworkFailures(OriginCase):
    """What only happens to databases behind a network."""
    source_options = "load-timeout 600ms connect-timeout 2s pool 2 breaker-open 50ms..200ms"

    @classmethod
    def make_config(cls):
        cls.proxy = Proxy(cls.origin.address)
        cls.addClassCleanup(cls.proxy.stop)
        dsn = cls.origin.dsn_through(cls.proxy.port)
        return f'source shop {cls.origin.driver} "{dsn}" {cls.source_options}\n{maps(cls.origin, slow="load-timeout 8s", gone="load-timeout 8s")}'

    def setUp(self):
        super().setUp()
        self.recovers()
        self.c.cmd("FLUSHALL")
        self.c.cmd("SOURCE", "RESETSTAT")

    def tearDown(self):
        check_at_rest(self)

    def test_black_holed(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.age()
        self.proxy.hold()
        self.old_values_are_served()
        start = time.monotonic()
        self.error("name:3", "SOURCETIMEOUT")
        took = time.monotonic() - start
        self.assertGreater(took, 0.5)
        self.assertLess(took, 1.5)
        self.plain_keys_work()
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")

        def is_known_to_be_down():
            self.error(f"name:{int(time.monotonic() * 1000)}", "SOURCETIMEOUT", "SOURCEDOWN")
            return self.state() != b"up"
        until(is_known_to_be_down, "the source to be given up")
        self.proxy.release()
        self.recovers(key="name:3", value=b"")

    def test_frozen_server(self):
        """Rule 37. SIGSTOP: the kernel still accepts connections, nobody answers."""
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        thaw = self.origin.freeze()
        try:
            with self.tarn.connect() as c:
                c.send(b"GET name:3\r\nGET qty:1\r\nGET price:1\r\n")
                slowest = 0
                while c.is_quiet(0):
                    start = time.monotonic()
                    self.plain_keys_work()
                    slowest = max(slowest, time.monotonic() - start)
                self.assertLess(slowest, 0.5)
                for _ in range(3):
                    self.assertIn(c.reply().split()[0], ("SOURCETIMEOUT", "SOURCEDOWN"))
        finally:
            thaw()
        self.recovers(key="name:3", value=b"")

    def test_refused(self):
        """Rule 47."""
        self.age()
        self.proxy.refuse()
        self.proxy.cut()
        try:
            self.old_values_are_served()
            until(lambda: self.error("name:1", "SOURCEDOWN", seconds=2), "a clear error")
            start = time.monotonic()
            for _ in range(5):
                self.error("qty:1", "SOURCEDOWN")
            self.assertLess(time.monotonic() - start, 1)
            self.plain_keys_work()
        finally:
            self.proxy.accept()
        until(lambda: self.state() == b"up", "recovery without traffic", 20)
        self.recovers()

    def wait_running(self, count=1):
        until(lambda: self.origin.running() == count, "the query to run")

    def test_a_connection_that_breaks_under_a_load_is_replaced_once(self):
        """Rule 48."""
        with self.tarn.connect() as c:
            c.send(b"GET slow:1\r\n")
            self.wait_running()
            self.assertGreater(self.proxy.cut(), 0)
            self.assertNotIsInstance(c.reply(), Error)

    def test_the_second_break_is_an_error_at_once(self):
        """Rule 48."""
        with self.tarn.connect() as c:
            c.send(b"GET slow:7\r\n")
            self.wait_running()
            first = self.origin.kill_running()
            self.assertTrue(first)
            until(lambda: self.origin.kill_running() - first, "the second try, in another session")
            start = time.monotonic()
            self.assertEqual(c.reply().split()[0], "SOURCEDOWN")
            self.assertLess(time.monotonic() - start, 2)
        self.recovers()

    def test_sessions_killed_while_idle_are_not_noticed(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.assertTrue(self.origin.kill_sessions())
        self.assertEqual(self.c.cmd("GET", "gone:3"), b"extra")


class Accounts(OriginCase):
    """Passwords come from files, may be wrong, and may change."""

    @classmethod
    def make_config(cls):
        return ""

    def serve(self, password, **files):
        self.origin.add_user("reader", "right")
        self.addCleanup(self.origin.drop_user, "reader")
        self.secret = os.path.join(self.tarn.dir, "secret")
        self.write_secret(password)
        return Tarn(config=f'source shop {self.origin.driver} "{self.origin.dsn_for("reader")}" password-file {self.secret} '
                           f'connect-timeout 2s\n{maps(self.origin)}')

    def write_secret(self, password):
        with open(self.secret, "w", encoding="utf-8") as f:
            f.write(password + "\n")

    def test_password_file(self):
        with self.serve("right") as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1"), b"one")
            self.assertNotIn("right", tarn.log())

    def test_wrong_password(self):
        with self.serve("wrong") as tarn, tarn.connect() as c:
            for _ in range(3):
                self.error("name:1", "SOURCEDOWN", c=c)
            self.assertEqual(self.state(c), b"auth")
            self.plain_keys_work(c)
            self.write_secret("right")
            until(lambda: self.state(c) == b"up", "the file to be read again", 30)
            self.recovers(c)
            for secret in ("wrong", "right"):
                self.assertNotIn(secret, tarn.log().replace("wrong.conf", ""))

    def test_a_missing_file_is_an_error_with_its_name(self):
        with self.serve("right") as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1"), b"one")
        os.remove(self.secret)
        with Tarn(config=f'source shop {self.origin.driver} "{self.origin.dsn_for("reader")}" password-file {self.secret}\n'
                         f'{maps(self.origin)}') as tarn, tarn.connect() as c:
            self.error("name:1", "SOURCEDOWN", c=c)
            self.assertIn(self.secret, tarn.log())


def make_cases():
    """One class for each origin and family of cases, by name: Shapes_postgres."""
    cases = {}
    for origin in [*ORIGINS, RedisOrigin]:
        families = [Shapes, Absence, Failures, Writes, Bulk]
        families += [NetworkFailures, NetworkWrites] if origin.has_network else []
        families += [Accounts] if origin.has_accounts else []
        for family in families:
            if origin.families is None or family.__name__ in origin.families:
                name = f"{family.__name__}_{origin.name}"
                without = {test: None for test in origin.without}  # what is no function is no test
                cases[name] = type(name, (family,), {"origin_type": origin, **without})
    return cases


CASES = make_cases()
globals().update(CASES)  # so that a case can be named to the runner


def load_tests(loader, tests, pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in CASES.values())
