"""Families of the driver suite: writes through to the database, and loads of many keys by one query."""
import json
import time

from database import check_at_rest, fields
from driver_case import OriginCase
from origins import BIG, BYTES, EMOJI
from proxy import Proxy
from resp import Error, encode
from tarn import Tarn, until


def write_maps(origin):
    return f"""
map name shop "name:{{id:int}}" "SELECT name FROM item WHERE id = $id" error-hold 20ms writes through on-set "UPDATE item SET name = $value WHERE id = $id" on-del "DELETE FROM item WHERE id = $id"
map qty shop "qty:{{id:int}}" "SELECT qty FROM item WHERE id = $id" error-hold 20ms writes through on-set "UPDATE item SET qty = qty + $value WHERE id = $id"
map up shop "up:{{id:int}}" "SELECT name FROM item WHERE id = $id" writes through on-set "INSERT INTO item (id, name) VALUES ($id, $value) {origin.upsert}" max-row 1kb
map new shop "new:{{id:int}}" "SELECT name FROM item WHERE id = $id" writes through on-set "INSERT INTO item (id, name) VALUES ($id, $value)"
map gone shop "gone:{{id:int}}" "SELECT name FROM item WHERE id = $id" writes through on-del "DELETE FROM item WHERE id = $id RETURNING name"
map picture shop "picture:{{id:int}}" "SELECT picture FROM item WHERE id = $id" writes through on-set "UPDATE item SET picture = $value WHERE id = $id"
map hash shop "hash:{{id:int}}" "SELECT name, qty FROM item WHERE id = $id" as hash writes through on-hset "UPDATE item SET name = coalesce($name, name), qty = coalesce($qty, qty) WHERE id = $id"
"""


class WriteCase(OriginCase):
    def setUp(self):
        super().setUp()
        self.origin.restore()

    def tearDown(self):
        check_at_rest(self)

    def fails(self, words, *command, c=None):
        """An error, one of `words`, and silent about the statement."""
        reply = (c or self.c).cmd(*command)
        self.assertIsInstance(reply, Error, (command, reply))
        self.assertIn(reply.split()[0], words.split(), reply)
        for secret in ("UPDATE", "INSERT", "item"):
            self.assertNotIn(secret, reply)

    def cached(self, key):
        return self.c.cmd("SOURCE", "GET", key, "CACHEONLY")

    def row(self, column, id=1):
        rows = self.origin.execute(f"SELECT {column} FROM item WHERE id = {id}")
        return rows[0][0] if rows else None


class Writes(WriteCase):
    source_options = "load-timeout 2s pool 2"

    @classmethod
    def make_config(cls):
        sneaky = f'map sneaky shop "sneaky:{{id:int}}" "{cls.origin.sneaky}"' if cls.origin.sneaky else ""
        return f'source shop {cls.origin.driver} "{cls.origin.dsn}" {cls.source_options}\n{write_maps(cls.origin)}{sneaky}'

    def test_rule_51_success_leaves_what_the_database_has(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.assertEqual(self.c.cmd("SET", "name:1", "uno"), "OK")
        self.assertIsNone(self.cached("name:1"))
        self.assertEqual(self.c.cmd("GET", "name:1"), b"uno")
        self.assertEqual(self.row("name"), "uno")
        self.assertEqual(self.c.cmd("DEL", "name:3"), 1)
        self.assertIsNone(self.row("name", 3))
        self.assertIsNone(self.c.cmd("GET", "name:3"))

    def test_a_row_set_to_what_it_was_is_a_row_touched(self):
        self.assertEqual(self.c.cmd("SET", "name:1", "one"), "OK")
        self.assertEqual(self.c.cmd("SET", "name:1", "one"), "OK")

    def test_what_returning_gives_is_stored(self):
        self.assertEqual(self.c.cmd("SET", "up:1", "eins"), "OK")
        self.assertEqual(self.cached("up:1"), b"EINS")
        self.assertEqual(self.c.cmd("SET", "up:70", "fresh"), "OK")
        self.assertEqual(self.c.cmd("GET", "up:70"), b"FRESH")
        self.assertEqual((self.row("name"), self.row("name", 70)), ("eins", "fresh"))
        self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "up"))["loads"], 0)

    def test_del_that_returns_the_row(self):
        self.assertEqual(self.c.cmd("DEL", "gone:4"), 1)
        self.assertIsNone(self.row("name", 4))
        self.fails("SOURCENOROW", "DEL", "gone:4")

    def test_a_returned_row_without_room_is_no_failure(self):
        """It happened all the same, and what max-row keeps out is not stored."""
        self.assertEqual(self.c.cmd("SET", "up:71", b"x" * 60000), "OK")
        self.assertIsNone(self.cached("up:71"))
        self.assertEqual(self.row("length(name)", 71), 60000)

    def test_rule_51_a_refusal_changes_nothing(self):
        self.assertEqual(self.c.cmd("GET", "new:1"), b"one")
        for _ in range(3):
            self.fails("SOURCEERR", "SET", "new:1", "a second row 1")
        self.assertEqual(self.cached("new:1"), b"one")
        self.assertEqual(self.row("name"), "one")
        self.assertEqual(self.c.cmd("SET", "new:72", "n"), "OK")
        self.assertEqual(self.state(), b"up")

    def test_no_such_row(self):
        for key in ("name:12345", f"name:{2 ** 63 - 1}", f"name:{-2 ** 63}"):
            self.fails("SOURCENOROW", "SET", key, "x")
            self.fails("SOURCENOROW", "DEL", key)

    def test_values_are_only_ever_values(self):
        for text in ("'; DROP TABLE item; --", "\\", "\\x41", "a\\b", "", "%s$1?", EMOJI, "x" * 60000):
            with self.subTest(text=text[:20]):
                self.assertEqual(self.c.cmd("SET", "name:1", text), "OK")
                self.assertEqual(self.row("name"), text)
                self.assertEqual(self.c.cmd("GET", "name:1"), text.encode())

    def test_bytes_arrive_as_they_are(self):
        for value in (BYTES, b"", b"\\x41", b"text", b"a\0b", bytes(range(256))):
            with self.subTest(value=value[:20]):
                self.assertEqual(self.c.cmd("SET", "picture:1", value), "OK")
                stored = self.row("picture")  # SQLite keeps text as text
                self.assertEqual(stored.encode() if isinstance(stored, str) else bytes(stored), value)
                self.assertEqual(self.c.cmd("GET", "picture:1"), value)

    def test_hset_gives_null_for_what_is_not_given(self):
        self.assertEqual(self.c.cmd("HSET", "hash:1", "qty", "7"), 0)
        self.assertEqual(self.c.cmd("HGETALL", "hash:1"), [b"name", b"one", b"qty", b"7"])
        self.assertEqual(self.c.cmd("HSET", "hash:1", "qty", str(BIG), "name", "n"), 0)
        self.assertEqual(self.c.cmd("HGETALL", "hash:1"), [b"name", b"n", b"qty", str(BIG).encode()])
        self.fails("SOURCEERR", "HSET", "hash:1", "color", "red")

    def test_a_lock_that_is_not_freed_in_time_is_a_refusal(self):
        self.assertEqual(self.c.cmd("GET", "qty:3"), b"0")
        release = self.origin.hold_rows()
        start = time.monotonic()
        try:
            self.fails("SOURCETIMEOUT", "SET", "qty:3", "1")
        finally:
            release()
        self.assertLess(time.monotonic() - start, 3)
        self.assertEqual(self.cached("qty:3"), b"0")
        self.assertEqual(self.row("qty", 3), 0)
        self.assertEqual(self.c.cmd("SET", "qty:3", "1"), "OK")
        self.assertEqual(self.c.cmd("GET", "qty:3"), b"1")

    def test_a_lock_that_is_freed_in_time_is_waited_for(self):
        release = self.origin.hold_rows()
        try:
            self.c.send(encode("SET", "qty:3", "5"))
            with self.tarn.connect() as other:
                until(lambda: fields(other.cmd("SOURCE", "INFO", "shop"))["busy"] == 1, "the write to be sent")
        finally:
            release()
        self.assertEqual(self.c.reply(), "OK")
        self.assertEqual(self.row("qty", 3), 5)

    def test_loads_around_writes(self):
        """Loads that share the connections, before and behind writes that succeed and fail."""
        others = [self.connect() for _ in range(8)]
        for round in range(5):
            for i, c in enumerate(others):
                if i % 4 == 0:
                    c.send(encode("SET", f"qty:{3}", "1"))
                elif i % 4 == 1:
                    c.send(encode("SET", "new:1", "refused"))
                else:
                    c.send(b"".join(encode("GET", f"name:{100 + round * 1000 + i * 100 + k}") for k in range(50)))
            for i, c in enumerate(others):
                if i % 4 == 0:
                    self.assertEqual(c.reply(), "OK")
                elif i % 4 == 1:
                    self.assertEqual(c.reply().split()[0], "SOURCEERR")
                else:
                    self.assertEqual(c.replies(50), [None] * 50)
        self.assertEqual(self.row("qty", 3), 10)

    def test_a_load_cannot_write_where_writes_can(self):
        self.origin.make_sneaky(True)
        self.addCleanup(self.origin.make_sneaky, False)
        for i in range(4):
            self.assertEqual(self.c.cmd("SET", "qty:3", "1"), "OK")
            self.fails("SOURCEERR", "SET", "new:1", "refused")
            if self.origin.sneaky:
                self.assertEqual(self.c.cmd("GET", f"sneaky:{i}").split()[0], "SOURCEERR")

    def test_a_user_that_may_not(self):
        if not self.origin.has_accounts:
            self.skipTest("this database has no accounts")
        self.origin.add_user("reader", "right")
        self.addCleanup(self.origin.drop_user, "reader")
        config = f'source shop {self.origin.driver} "{self.origin.dsn_for("reader")} password=right"\n{write_maps(self.origin)}'
        with Tarn(config=config) as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1"), b"one")
            self.fails("SOURCEERR", "SET", "name:1", "x", c=c)
            self.assertEqual(c.cmd("SOURCE", "GET", "name:1", "CACHEONLY"), b"one")
            self.origin.grant("reader", self.origin.grants)
            self.assertEqual(c.cmd("SET", "up:1", "x"), "OK")
            self.assertEqual(c.cmd("DEL", "gone:1"), 1)
            self.fails("SOURCEERR", "SET", "picture:3", "x", c=c)

    def test_rule_51_a_database_that_is_out_of_reach(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.origin.halt()
        try:
            self.c.cmd("GET", "name:77")
            self.fails("SOURCEDOWN", "SET", "name:1", "x")
            self.assertEqual(self.cached("name:1"), b"one")
        finally:
            self.origin.start()
        self.recovers(key="name:88", value=None)
        self.assertEqual(self.row("name"), "one")


class NetworkWrites(WriteCase):
    """Outcomes that nobody knows."""
    source_options = "load-timeout 1s connect-timeout 2s pool 2 breaker-open 50ms..200ms"

    @classmethod
    def make_config(cls):
        cls.proxy = Proxy(cls.origin.address)
        cls.addClassCleanup(cls.proxy.stop)
        return (f'source shop {cls.origin.driver} "{cls.origin.dsn_through(cls.proxy.port)}" {cls.source_options}\n'
                f"{write_maps(cls.origin)}")

    def setUp(self):
        super().setUp()
        self.recovers(key="name:1", value=b"one")
        self.assertEqual(self.c.cmd("SET", "qty:3", "0"), "OK")  # each connection may know the statement, or not
        self.assertEqual(self.c.cmd("GET", "qty:3"), b"0")

    def test_rules_48_and_51_a_connection_that_breaks_under_a_write(self):
        release = self.origin.hold_rows()
        try:
            self.c.send(encode("SET", "qty:3", "1"))
            until(self.origin.are_waiting, "the write to run")
            self.assertGreater(self.proxy.cut(), 0)
            self.assertEqual(self.c.reply().split()[0], "SOURCEUNKNOWN")
        finally:
            release()
        until(lambda: self.origin.running() == 0, "it to end")
        self.assertIsNone(self.cached("qty:3"))
        self.assertLessEqual(self.row("qty", 3), 1, "never twice")
        self.assertEqual(self.c.cmd("GET", "qty:3"), str(self.row("qty", 3)).encode())

    def test_rule_51_a_session_that_is_killed_under_a_write(self):
        release = self.origin.hold_rows()
        try:
            self.c.send(encode("SET", "qty:3", "1"))
            until(self.origin.are_waiting, "the write to run")
            self.assertTrue(self.origin.kill_running())
            self.assertIn(self.c.reply().split()[0], ("SOURCEUNKNOWN", "SOURCEDOWN"))
        finally:
            release()
        until(lambda: self.origin.running() == 0, "it to end")
        self.assertEqual(self.row("qty", 3), 0)
        self.assertEqual(self.c.cmd("GET", "qty:3"), b"0")

    def test_rule_51_no_answer_at_all(self):
        self.proxy.hold()
        try:
            start = time.monotonic()
            self.fails("SOURCEUNKNOWN", "SET", "qty:3", "1")
            self.assertLess(time.monotonic() - start, 2.5)
            self.assertIsNone(self.cached("qty:3"))
        finally:
            self.proxy.release()
        self.recovers(key="name:4", value=EMOJI.encode())
        self.assertLessEqual(self.row("qty", 3), 1, "never twice")

    def test_rule_51_a_frozen_server(self):
        thaw = self.origin.freeze()
        try:
            self.fails("SOURCEUNKNOWN", "SET", "qty:3", "1")
            self.assertIsNone(self.cached("qty:3"))
        finally:
            thaw()
        self.recovers(key="name:4", value=EMOJI.encode())
        self.assertLessEqual(self.row("qty", 3), 1, "never twice")

    def test_sessions_killed_while_idle(self):
        """A write is never sent twice, so it may be told of the loss; the next one meets a new connection."""
        self.assertTrue(self.origin.kill_sessions())
        reply = self.c.cmd("SET", "qty:3", "1")
        self.assertTrue(reply == "OK" or reply.split()[0] in ("SOURCEUNKNOWN", "SOURCEDOWN"), reply)
        until(lambda: self.c.cmd("SET", "qty:3", "1") == "OK", "a write to succeed", 10)

    def test_refused_connections_are_a_refusal(self):
        self.proxy.refuse()
        self.proxy.cut()
        try:
            until(lambda: self.state() != b"up" or isinstance(self.c.cmd("GET", f"name:{time.monotonic_ns()}"), Error) and
                  self.state() != b"up", "the source to be known as down")
            self.fails("SOURCEDOWN", "SET", "qty:3", "1")
            self.assertEqual(self.cached("qty:3"), b"0")
        finally:
            self.proxy.accept()
        self.recovers(key="name:4", value=EMOJI.encode())
        self.assertEqual(self.row("qty", 3), 0)


class Bulk(OriginCase):
    """Rule 42, and what a bulk query may not get wrong."""
    source_options = "load-timeout 10s pool 2"

    @classmethod
    def make_config(cls):
        by_id, by_name = cls.origin.bulk
        return f"""source shop {cls.origin.driver} "{cls.origin.dsn}" {cls.source_options}
map name shop "name:{{id:int}}" "SELECT id, name FROM item WHERE id = $id" as json bulk id bulk-query "SELECT id, name FROM item WHERE {by_id}"
map text shop "text:{{text:str}}" "SELECT id, name FROM item WHERE name = $text" as json canon name bulk name bulk-query "SELECT id, name FROM item WHERE {by_name}"
map slug shop "slug:{{text:slug}}" "SELECT qty FROM item WHERE name = $text" bulk name bulk-query "SELECT name, qty FROM item WHERE {by_name}"
"""

    def setUp(self):
        super().setUp()
        self.origin.restore()
        self.addCleanup(self.origin.restore)

    def tearDown(self):
        check_at_rest(self)

    def stats(self, name):
        return fields(self.c.cmd("SOURCE", "INFO", name))

    def fill(self, first, count):
        values = ", ".join(f"({i}, 'n{i}', {i % 7})" for i in range(first, first + count))
        self.origin.execute(f"INSERT INTO item (id, name, qty) VALUES {values}")

    def test_every_size_of_batch(self):
        self.fill(1000, 300)
        for count in (1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 64, 100, 127, 128):
            self.c.cmd("FLUSHALL")
            keys = [f"name:{1000 + i}" for i in range(count)]
            found = self.c.cmd("MGET", *keys)
            self.assertEqual([json.loads(v)["name"] for v in found], [f"n{1000 + i}" for i in range(count)])
        self.assertEqual(self.stats("name")["batches"], 13, "one for each, and one alone")

    def test_rule_42_mget_of_many_is_few_batches(self):
        self.fill(2000, 1000)
        found = self.c.cmd("MGET", *(f"name:{i}" for i in range(1500, 3500)))
        self.assertEqual([v is None for v in found], [True] * 500 + [False] * 1000 + [True] * 500)
        self.assertEqual(self.stats("name")["batches"], -(-2000 // 128))
        loads = self.stats("name")["loads"]
        self.assertEqual(self.c.cmd("MGET", *(f"name:{i}" for i in range(1500, 3500))), found)
        self.assertEqual(self.stats("name")["loads"], loads, "absent ones are known too")

    def test_text_in_lists_is_only_ever_text(self):
        texts = ["one", EMOJI, "'", '"', "\\", "{}", "a,b", "NULL", "null", "{a}", "); DROP TABLE item; --", "?", "$1", " x "]
        found = self.c.cmd("MGET", *("text:" + t for t in texts))
        self.assertEqual([v if v is None else json.loads(v) for v in found],
                         [{"id": 1, "name": "one"}, {"id": 4, "name": EMOJI}] + [None] * 12)
        self.assertEqual(self.stats("text")["batches"], 1)

    def test_two_rows_of_a_key_are_its_own_error(self):
        self.origin.execute("INSERT INTO item (id, name, qty) VALUES (50, 'two', 1)")
        self.origin.execute("INSERT INTO item (id, name, qty) VALUES (51, 'two', 2)")
        self.origin.execute("INSERT INTO item (id, name, qty) VALUES (52, 'single', 3)")
        self.c.send(encode("GET", "slug:two") + encode("GET", "slug:single") + encode("GET", "slug:none"))
        self.assertEqual(self.c.reply().split()[0], "SOURCEERR")
        self.assertEqual(self.c.replies(2), [b"3", None])

    def test_extreme_keys_are_rows_that_are_not_there(self):
        keys = ["name:1", f"name:{2 ** 63 - 1}", f"name:{-2 ** 63}", "name:2147483648", "name:0"]
        self.assertEqual(self.c.cmd("MGET", *keys)[1:], [None] * 4)
        self.assertEqual(self.stats("name")["errors"], 0)

    def test_a_pipeline_and_exec_are_batches_too(self):
        self.fill(4000, 100)
        self.c.send(b"".join(encode("GET", f"name:{i}") for i in range(4000, 4100)))
        self.assertEqual([json.loads(v)["id"] for v in self.c.replies(100)], list(range(4000, 4100)))
        self.assertLessEqual(self.stats("name")["batches"], 3)
        self.c.cmd("FLUSHALL")
        before = self.stats("name")["batches"]
        self.c.cmd("MULTI")
        for i in range(4000, 4050):
            self.c.cmd("GET", f"name:{i}")
        self.assertEqual([json.loads(v)["id"] for v in self.c.cmd("EXEC")], list(range(4000, 4050)))
        self.assertEqual(self.stats("name")["batches"] - before, 1)
