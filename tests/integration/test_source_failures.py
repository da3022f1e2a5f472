"""The database is missing, locked, broken or slow: clear errors in time, plain keys unharmed, recovery by itself."""
import os
import sqlite3
import time

from database import DatabaseCase, check_at_rest, fields
from resp import Error
from tarn import until

MAPS = """
map name shop "name:{id:int}" "SELECT name FROM item WHERE id = $id" as string load-timeout 2s error-hold 50ms
map endless shop "endless:{id:int}" "WITH RECURSIVE n(x) AS (SELECT $id UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n" as string load-timeout 300ms
map gone shop "gone:{id:int}" "SELECT price FROM item WHERE id = $id" as string load-timeout 30s
"""


class Failing(DatabaseCase):
    maps = MAPS

    def tearDown(self):
        check_at_rest(self)

    def error(self, key, *words):
        """The error of a GET, which must come in time and be one of `words`, and tell nothing of the query."""
        start = time.monotonic()
        reply = self.c.cmd("GET", key)
        self.assertLess(time.monotonic() - start, 10)
        self.assertIsInstance(reply, Error, key)
        self.assertIn(reply.split()[0], words, reply)
        for secret in ("SELECT", "item", self.path):
            self.assertNotIn(secret, reply)
        return reply

    def plain_keys_work(self):
        self.assertEqual(self.c.cmd("SET", "plain", "p"), "OK")
        self.assertEqual(self.c.cmd("GET", "plain"), b"p")

    def recovers(self):
        until(lambda: self.c.cmd("GET", "name:1") == b"one", "the source to recover", 40)
        self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "shop"))["state"], b"up")


class Missing(Failing):
    """The file does not exist when the server starts."""

    @staticmethod
    def make_database(path):
        pass

    def test_errors_until_it_appears(self):
        self.plain_keys_work()
        for _ in range(3):
            self.error("name:1", "SOURCEDOWN")
        self.assertFalse(os.path.exists(self.path), "the cache created a database")
        self.plain_keys_work()
        DatabaseCase.make_database(self.path)
        self.recovers()


class Locked(Failing):
    def test_a_writer_holds_the_file(self):
        writer = sqlite3.connect(self.path, isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        self.error("name:1", "SOURCETIMEOUT", "SOURCEBUSY", "SOURCEDOWN")
        self.assertLess(time.monotonic() - start, 2 + 2)
        self.plain_keys_work()
        writer.execute("COMMIT")
        writer.close()
        self.recovers()

    def test_a_short_lock_is_waited_out(self):
        writer = sqlite3.connect(self.path, isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        with self.tarn.connect() as c:
            c.send(b"GET name:2\r\n")
            self.assertTrue(c.is_quiet(0.1))
            writer.execute("COMMIT")
            writer.close()
            self.assertEqual(c.reply(), b"two")


class Broken(Failing):
    def test_garbage_in_the_file_mid_run(self):
        self.assertEqual(self.c.cmd("GET", "name:2"), b"two")
        with open(self.path, "rb") as f:
            good = f.read()
        with open(self.path, "r+b") as f:
            f.write(b"this is no database " * 500)
        self.error("name:1", "SOURCEERR", "SOURCEDOWN")
        self.assertEqual(self.c.cmd("GET", "name:2"), b"two", "what is cached is still served")
        self.plain_keys_work()
        with open(self.path, "r+b") as f:
            f.write(good)
        self.recovers()

    def test_the_file_is_replaced(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        other = self.path + ".new"
        DatabaseCase.make_database(other)
        db = sqlite3.connect(other)
        with db:
            db.execute("UPDATE item SET name = 'uno' WHERE id = 1")
        db.close()
        os.replace(other, self.path)
        self.addCleanup(self.change, "UPDATE item SET name = 'one' WHERE id = 1")

        def sees_the_new_file():
            self.c.cmd("DEL", "name:1")
            return self.c.cmd("GET", "name:1") == b"uno"
        until(sees_the_new_file, "loads from the new file", 40)

    def test_a_dropped_column_is_an_error_of_that_map_alone(self):
        self.assertEqual(self.c.cmd("GET", "gone:1"), b"1.5")
        self.change("ALTER TABLE item RENAME COLUMN price TO cost")
        self.c.cmd("DEL", "gone:1")
        self.error("gone:1", "SOURCEERR")
        self.c.cmd("DEL", "name:1")
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.change("ALTER TABLE item RENAME COLUMN cost TO price")
        until(lambda: self.c.cmd("GET", "gone:1") == b"1.5", "the map to recover")


class Slow(Failing):
    def test_an_endless_query_is_stopped_at_the_deadline(self):
        start = time.monotonic()
        self.error("endless:1", "SOURCETIMEOUT")
        took = time.monotonic() - start
        self.assertGreater(took, 0.25)
        self.plain_keys_work()
        # The worker threads are free again: interrupted, not abandoned.
        self.error("endless:2", "SOURCETIMEOUT")
        self.error("endless:3", "SOURCETIMEOUT")
        until(lambda: self.c.cmd("GET", "name:1") == b"one", "ordinary loads after endless ones", 10)
        cpu = self.tarn.cpu_seconds()
        time.sleep(1)  # nothing is asked for, so nothing may run
        self.assertLess(self.tarn.cpu_seconds() - cpu, 0.3)

    def test_plain_keys_are_quick_meanwhile(self):
        with self.tarn.connect() as c:
            c.send(b"GET endless:9\r\n")
            rounds = 0
            while c.is_quiet(0):
                self.plain_keys_work()
                rounds += 1
            self.assertGreater(rounds, 5, "other clients waited for the query")
            self.assertIsInstance(c.reply(), Error)

    def test_a_failed_load_is_held_for_a_moment(self):
        self.error("endless:20", "SOURCETIMEOUT")
        loads = self.stats("endless")["loads"]
        start = time.monotonic()
        self.error("endless:20", "SOURCETIMEOUT")
        if time.monotonic() - start < 0.1:
            self.assertEqual(self.stats("endless")["loads"], loads)
