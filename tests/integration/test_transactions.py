"""MULTI, EXEC, WATCH: the same replies as redis-server, and what a transaction means for loaded keys."""
import unittest

from case import CompareCase, TarnCase
from resp import Error, encode
from tarn import until


class LikeRedis(CompareCase):
    def test_commands_are_queued_and_run(self):
        self.assert_same("""
            1: MULTI
            1: SET a 1
            1: INCR a
            1: GET a
            1: EXEC
            1: GET a
            1: MULTI
            1: EXEC
        """)

    def test_misplaced_commands(self):
        self.assert_same("""
            1: EXEC
            1: DISCARD
            1: MULTI
            1: MULTI
            1: WATCH a
            1: SET a 1
            1: EXEC
            1: UNWATCH
            1: MULTI
            1: UNWATCH
            1: EXEC
            1: MULTI x
            1: WATCH
        """)

    def test_errors_while_queueing_discard_the_transaction(self):
        self.assert_same("""
            1: MULTI
            1: SET a 1
            1: NOSUCH
            1: SET a 2
            1: EXEC
            1: EXISTS a
            1: MULTI
            1: SET a
            1: EXEC
            1: MULTI
            1: SHUTDOWN NOSAVE
            1: EXEC
            1: MULTI
            1: SET a 1
            1: EXEC x
            1: EXEC
            1: EXISTS a
            1: MULTI
            1: OBJECT NOSUCH a
            1: EXEC
        """)

    def test_errors_while_running_do_not(self):
        self.assert_same("""
            1: MULTI
            1: SET a x
            1: INCR a
            1: APPEND a y
            1: SELECT 99
            1: GET a
            1: EXEC
        """)

    def test_discard(self):
        self.assert_same("""
            1: SET a 1
            1: MULTI
            1: SET a 2
            1: DISCARD
            1: GET a
            1: EXEC
        """)

    def test_select_within(self):
        self.assert_same("""
            1: MULTI
            1: SELECT 3
            1: SET a 3
            1: SELECT 0
            1: GET a
            1: SELECT 3
            1: EXEC
            1: GET a
        """)

    def test_watched_key_changed_by_another(self):
        self.assert_same("""
            1: SET a 1
            1: WATCH a
            2: SET a 2
            1: MULTI
            1: SET a 3
            1: EXEC
            1: GET a
            1: MULTI
            1: PING
            1: EXEC
        """)

    def test_watched_key_changed_by_oneself(self):
        self.assert_same("""
            1: WATCH a b
            1: SET b 1
            1: MULTI
            1: PING
            1: EXEC
            1: WATCH a
            1: MULTI
            1: SET a 1
            1: SET a 2
            1: EXEC
            1: MULTI
            1: PING
            1: EXEC
        """)

    def test_what_counts_as_a_change(self):
        for change in ("SET a 2", "SET a 1", "APPEND a x", "SETRANGE a 0 x", "INCR a", "DEL a", "UNLINK a", "EXPIRE a 100",
                       "EXPIRE a -1", "PERSIST a", "RENAME a b", "RENAME c a", "COPY c a REPLACE", "GETDEL a",
                       "GETEX a EX 10", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "MSET x 1 a 2", "INCRBYFLOAT a 1.5",
                       "GETSET a 9", "SETEX a 10 x"):
            with self.subTest(change=change):
                self.assert_same(f"""
                    1: FLUSHALL
                    1: SET a 1 EX 1000
                    1: SET c 1
                    1: WATCH a
                    2: {change}
                    1: MULTI
                    1: PING
                    1: EXEC
                """)

    def test_what_does_not(self):
        for other in ("GET a", "DEL b", "SET b 1", "TTL a", "EXISTS a", "TOUCH a", "INCR c", "SETNX a 1", "SET a 1 NX",
                      "COPY a b", "PERSIST a", "FLUSHDB x", "EXPIRE a 100 XX", "GETEX a", "APPEND"):
            with self.subTest(other=other):
                self.assert_same(f"""
                    1: FLUSHALL
                    1: SET a 1
                    1: SET c x
                    1: WATCH a
                    2: {other}
                    1: MULTI
                    1: PING
                    1: EXEC
                """)

    def test_databases_are_told_apart(self):
        self.assert_same("""
            2: SELECT 1
            1: WATCH a
            2: SET a 1
            1: MULTI
            1: PING
            1: EXEC
            1: WATCH a
            2: SWAPDB 0 1
            1: MULTI
            1: PING
            1: EXEC
            1: WATCH nothing
            2: SWAPDB 0 1
            1: MULTI
            1: PING
            1: EXEC
            1: WATCH nothing
            2: FLUSHALL
            1: MULTI
            1: PING
            1: EXEC
        """)

    def test_unwatch_discard_and_reset_let_go(self):
        for let_go in ("UNWATCH", "MULTI\n1: DISCARD", "RESET"):
            with self.subTest(let_go=let_go):
                self.assert_same(f"""
                    1: WATCH a
                    2: SET a 1
                    1: {let_go}
                    1: MULTI
                    1: PING
                    1: EXEC
                """)

    def test_a_key_that_expires(self):
        for c in (self.r, self.c):
            self.assertEqual(c.cmd("SET", "a", "1", "PX", "30"), "OK")
            self.assertEqual(c.cmd("SET", "b", "1", "PX", "1"), "OK")
            until(lambda: c.cmd("EXISTS", "b") == 0, "b to expire")
            self.assertEqual(c.cmd("WATCH", "b"), "OK")
            self.assertEqual(c.cmd("MULTI"), "OK")
            self.assertEqual(c.cmd("EXEC"), [])
            self.assertEqual(c.cmd("WATCH", "a"), "OK")
            with (self.redis if c is self.r else self.tarn).connect() as other:
                until(lambda: other.cmd("EXISTS", "a") == 0, "a to expire")
            self.assertEqual(c.cmd("MULTI"), "OK")
            self.assertEqual(c.cmd("PING"), "QUEUED")
            self.assertIsNone(c.cmd("EXEC"))

    def test_quit_and_reset_within(self):
        self.assert_same("""
            1: MULTI
            1: SET a 1
            1: RESET
            1: EXEC
            1: EXISTS a
            1: MULTI
            1: SET a 1
            1: QUIT
            2: EXISTS a
        """)

    def test_pipelined_with_others(self):
        requests = ("SET a 1", "MULTI", "INCR a", "INCR a", "EXEC", "GET a", "MULTI", "FOO", "EXEC", "PING")
        replies = []
        for c in (self.r, self.c):
            c.send(b"".join(encode(*words.split()) for words in requests))
            replies.append([c.raw_reply() for _ in requests])
        self.assertEqual(replies[0], replies[1])

    def test_resp3_nulls(self):
        for c in (self.r, self.c):
            c.cmd("HELLO", "3")
            c.cmd("WATCH", "a")
            c.cmd("SET", "a", "1")
            c.cmd("MULTI")
            c.send(encode("EXEC"))
            self.assertEqual(c.raw_reply(), b"_\r\n")

    def test_statistics_count_the_commands_within(self):
        for c in (self.r, self.c):
            c.cmd("CONFIG", "RESETSTAT")
            for words in ("MULTI", "SET a x", "INCR a", "EXEC"):
                c.cmd(*words.split())
            stats = c.cmd("INFO", "commandstats").decode()
            self.assertRegex(stats, r"cmdstat_set:calls=1,.*failed_calls=0")
            self.assertRegex(stats, r"cmdstat_incr:calls=1,.*failed_calls=1")
            self.assertRegex(stats, r"cmdstat_exec:calls=1,")


class Sessions(TarnCase):
    def test_client_list_shows_the_queue(self):
        other = self.connect()
        number = other.cmd("CLIENT", "ID")

        def field(name):
            line = self.c.cmd("CLIENT", "LIST", "ID", number).decode().strip()
            return dict(word.split("=", 1) for word in line.split(" "))[name]
        self.assertEqual(field("multi"), "-1")
        other.cmd("WATCH", "a")
        self.assertEqual(other.cmd("MULTI"), "OK")
        self.assertEqual(field("multi"), "0")
        other.cmd("SET", "a", "x" * 1000)
        self.assertEqual(field("multi"), "1")
        self.assertIn("x", field("flags"))
        self.assertGreater(int(field("multi-mem")), 1000)
        self.c.cmd("SET", "a", "2")
        self.assertIn("d", field("flags"))
        self.assertIsNone(other.cmd("EXEC"))
        self.assertEqual(field("multi"), "-1")
        self.assertEqual(field("flags"), "N")

    def test_client_reply_within(self):
        for mode in ("OFF", "SKIP"):
            c = self.connect()
            for words in ("MULTI", f"CLIENT REPLY {mode}", "SET a 1", "EXEC"):
                c.send(encode(*words.split()))
            self.assertEqual(c.replies(3), ["OK", "QUEUED", "QUEUED"])
            if mode == "SKIP":
                self.assertEqual(c.reply(), [None, "OK"])
                c.send(encode("GET", "b"))  # this one is not answered
            c.send(encode("CLIENT", "REPLY", "ON") + encode("PING"))
            self.assertEqual(c.replies(2), ["OK", "PONG"])

    def test_a_client_that_leaves_takes_its_queue_along(self):
        before = int(self.info("memory")["used_memory"])
        for _ in range(20):
            with self.tarn.connect() as c:
                c.send(encode("WATCH", "w") + encode("MULTI") + encode("SET", "a", "x" * 100000) * 20)
                self.assertEqual(c.replies(22)[-1], "QUEUED")
        until(lambda: int(self.info("memory")["used_memory"]) < before + 2000000, "the memory to come back")


class Loads(TarnCase):
    config = """
source m mock x
map item m "item:{id:int}" "SELECT $id" as string load-timeout 30s
map quick m "quick:{id:int}" "SELECT $id" as string load-timeout 300ms error-hold 0
"""
    args = ("--enable-debug-command", "yes")

    def tearDown(self):
        self.gate("RELEASE")
        self.gate("FAIL", "off")

    def gate(self, *words):
        self.assertNotIsInstance(self.c.cmd("DEBUG", "SOURCE", "m", *words), Error)

    def loads(self):
        return int(dict(zip(*[iter(self.c.cmd("SOURCE", "INFO", "m"))] * 2))[b"loads"])

    def queue(self, c, *lines):
        self.assertEqual(c.cmd("MULTI"), "OK")
        for line in lines:
            self.assertEqual(c.cmd(*line.split()), "QUEUED")

    def blocked(self, count):
        until(lambda: int(self.info("clients")["blocked_clients"]) == count, f"{count} blocked clients")

    def test_keys_are_loaded_first_and_together(self):
        """Rule 40."""
        other = self.connect()
        self.queue(other, "SET before 1", "GET item:1", "MGET item:2 plain item:1", "SELECT 1", "GET item:3")
        self.gate("HOLD")
        other.send(encode("EXEC"))
        self.blocked(1)
        self.assertEqual(self.c.cmd("EXISTS", "before"), 0)
        self.gate("RELEASE")
        reply = other.reply()
        self.assertEqual(reply[0], "OK")
        self.assertTrue(all(isinstance(x, bytes) for x in (reply[1], reply[4])), reply)
        self.assertEqual(reply[2][2], reply[1])
        self.assertIsNone(reply[2][1])
        self.assertEqual(self.c.cmd("GET", "item:1"), reply[1])

    def test_a_failed_load_is_the_error_of_its_command_only(self):
        other = self.connect()
        self.queue(other, "SET k 1", "GET quick:1", "GET item:1")
        self.gate("HOLD")
        other.send(encode("EXEC"))
        self.blocked(1)
        self.gate("FAIL", "err")
        self.gate("RELEASE")
        reply = other.reply()
        self.assertEqual(reply[0], "OK")
        self.assertIsInstance(reply[1], Error)
        self.assertTrue(reply[1].startswith("SOURCE"), reply)

    def test_a_watched_key_that_changes_during_the_load(self):
        other = self.connect()
        self.assertEqual(other.cmd("WATCH", "w"), "OK")
        self.queue(other, "SET w 1", "GET item:7")
        self.gate("HOLD")
        other.send(encode("EXEC"))
        self.blocked(1)
        self.c.cmd("SET", "w", "2")
        self.gate("RELEASE")
        self.assertIsNone(other.reply())
        self.assertEqual(self.c.cmd("GET", "w"), b"2")

    def test_a_key_removed_within_is_not_a_false_nil(self):
        value = self.c.cmd("GET", "item:9")
        other = self.connect()
        self.queue(other, "GET item:9", "DEL item:9", "GET item:9")
        reply = other.cmd("EXEC")
        self.assertEqual(reply[:2], [value, 1])
        self.assertIsInstance(reply[2], Error)

    def test_writing_a_mapped_key_spoils_the_transaction(self):
        other = self.connect()
        self.assertEqual(other.cmd("MULTI"), "OK")
        self.assertTrue(other.cmd("SET", "item:1", "x").startswith("SOURCEWRITE"))
        self.assertTrue(other.cmd("EXEC").startswith("EXECABORT"))

    def test_invalidation_touches_watched_keys(self):
        for words in (("KEY", "item:5"), ("MAP", "item"), ("ALL",)):
            self.c.cmd("GET", "item:5")
            other = self.connect()
            self.assertEqual(other.cmd("WATCH", "item:5"), "OK")
            self.assertNotIsInstance(self.c.cmd("SOURCE", "INVALIDATE", *words), Error)
            self.queue(other, "PING")
            self.assertIsNone(other.cmd("EXEC"))

    def test_a_client_that_leaves_while_it_waits(self):
        other = self.connect()
        self.queue(other, "GET item:20")
        self.gate("HOLD")
        other.send(encode("EXEC"))
        self.blocked(1)
        other.close()
        self.gate("RELEASE")
        self.blocked(0)


if __name__ == "__main__":
    unittest.main()
