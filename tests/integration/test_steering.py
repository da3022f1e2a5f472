"""MONITOR, CLIENT PAUSE and UNPAUSE, CLIENT UNBLOCK."""
import re
import socket
import time
import unittest

from case import CompareCase, TarnCase
from resp import Error, encode
from tarn import Tarn, until

MONITOR_LINE = re.compile(r"^\d+\.\d{6} \[(\d+) ([^\]]+)\] (.*)$")


class Monitor(CompareCase):
    def lines(self, server, requests):
        """What a monitor sees of these requests, without times and addresses."""
        with server.connect() as monitor, server.connect() as c:
            self.assertEqual(monitor.cmd("MONITOR"), "OK")
            for request in requests:
                c.cmd(*request)
            c.cmd("ECHO", "the end")
            seen = []
            while not seen or "the end" not in seen[-1][1]:
                found = MONITOR_LINE.match(monitor.reply())
                self.assertIsNotNone(found)
                seen.append((found[1], found[3]))
            return seen

    def test_lines_are_those_of_redis(self):
        requests = [("SET", "a", "1"), ("get", "a"), ("GET", b"\x00\n\r\t\a\b\"\\\xff ~"), ("NOSUCH",), ("GET",), ("SELECT", "3"),
                    ("DEL", "a"), ("MULTI",), ("SET", "a", "1"), ("INCR", "a"), ("EXEC",), ("CONFIG", "GET", "x"),
                    ("AUTH", "secret"), ("AUTH", "default", "secret"), ("HELLO", "2", "AUTH", "default", "secret"),
                    ("CLIENT", "SETNAME", "x"), ("PUBLISH", "a", "b"), ("CLIENT", "LIST"), ("PING",)]
        expected = self.lines(self.redis, requests)
        got = self.lines(self.tarn, requests)
        self.assertNotIn("secret", str(got))
        # Redis shows the place of a hidden password a little differently from version to version.
        def hide(seen):
            return [line for line in seen if "redacted" not in line[1] and "auth" not in line[1].lower()]
        self.assertEqual(hide(got), hide(expected))

    def test_it_ends_with_reset(self):
        with self.tarn.connect() as monitor:
            self.assertEqual(monitor.cmd("MONITOR"), "OK")
            monitor.send(encode("RESET"))
            replies = []
            while "RESET" not in replies:
                replies.append(monitor.reply())
            self.c.cmd("SET", "a", "1")
            self.assertEqual(monitor.cmd("PING"), "PONG")

    def test_a_client_that_monitors_may_run_commands(self):
        with self.tarn.connect() as monitor:
            self.assertEqual(monitor.cmd("MONITOR"), "OK")
            self.assertEqual(monitor.cmd("GET", "a"), None)
            self.assertIn('"GET" "a"', monitor.reply())
            self.assertIn("flags=O ", self.c.cmd("CLIENT", "LIST").decode())

    def test_within_a_transaction_it_is_refused(self):
        self.assert_same("""
            1: MULTI
            1: MONITOR
            1: EXEC
        """)

    def test_long_arguments_are_cut(self):
        with self.tarn.connect() as monitor:
            self.assertEqual(monitor.cmd("MONITOR"), "OK")
            self.c.cmd("SET", "a", "x" * 1000000)
            line = monitor.reply()
            self.assertLess(len(line), 70000)
            self.assertTrue(line.endswith('"... (934464 more bytes)'), line[-60:])

    def test_one_that_does_not_read_is_closed(self):
        with Tarn("--client-output-buffer-limit", "pubsub 1mb 0 0") as server, server.connect() as c, \
                server.connect() as lazy:
            lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.assertEqual(lazy.cmd("MONITOR"), "OK")
            for _ in range(200):
                c.cmd("SET", "a", "x" * 50000)
            until(lambda: b"flags=O" not in c.cmd("CLIENT", "LIST"), "the monitor to be closed")


class Pause(TarnCase):
    def tearDown(self):
        self.c.cmd("CLIENT", "UNPAUSE")

    def blocked(self, count):
        until(lambda: self.info("clients")["blocked_clients"] == str(count), f"{count} blocked clients")

    def test_writes_wait_and_reads_do_not(self):
        other = self.connect()
        self.assertEqual(self.c.cmd("CLIENT", "PAUSE", "100000", "WRITE"), "OK")
        self.assertIsNone(other.cmd("GET", "a"))
        other.send(encode("SET", "a", "1") + encode("GET", "a"))
        self.blocked(1)
        self.assertIsNone(self.c.cmd("GET", "a"))
        self.assertEqual(self.c.cmd("CLIENT", "UNPAUSE"), "OK")
        self.assertEqual(other.replies(2), ["OK", b"1"])
        self.blocked(0)

    def test_transactions_and_messages_are_writes(self):
        clients = [self.connect() for _ in range(3)]
        self.assertEqual(self.c.cmd("CLIENT", "PAUSE", "100000", "WRITE"), "OK")
        clients[0].send(encode("MULTI") + encode("GET", "a") + encode("EXEC"))
        self.assertEqual(clients[0].replies(3)[2], [None])
        clients[1].send(encode("PUBLISH", "a", "b"))
        clients[2].cmd("MULTI")
        clients[2].send(encode("SET", "a", "1"))
        self.blocked(2)
        self.c.cmd("CLIENT", "UNPAUSE")
        self.assertEqual(clients[1].reply(), 0)
        self.assertEqual(clients[2].reply(), "QUEUED")

    def test_everything_waits_until_the_time_is_over(self):
        other = self.connect()
        start = time.monotonic()
        self.assertEqual(self.c.cmd("CLIENT", "PAUSE", "300"), "OK")
        self.assertEqual(other.cmd("PING"), "PONG")
        self.assertGreater(time.monotonic() - start, 0.29)

    def test_a_second_pause_only_makes_it_longer_or_stricter(self):
        other = self.connect()
        start = time.monotonic()
        self.c.cmd("CLIENT", "PAUSE", "400", "WRITE")
        self.c.cmd("CLIENT", "PAUSE", "1", "WRITE")
        self.assertEqual(other.cmd("SET", "a", "1"), "OK")
        self.assertGreater(time.monotonic() - start, 0.39)

    def test_a_client_that_leaves_while_it_waits(self):
        other = self.connect()
        self.c.cmd("CLIENT", "PAUSE", "100000", "WRITE")
        other.send(encode("SET", "a", "1"))
        self.blocked(1)
        other.close()
        self.blocked(0)
        self.c.cmd("CLIENT", "UNPAUSE")
        self.assertIsNone(self.c.cmd("GET", "a"))


class PauseLikeRedis(CompareCase):
    def test_refusals(self):
        self.assert_same("""
            1: CLIENT PAUSE
            1: CLIENT PAUSE x
            1: CLIENT PAUSE -1
            1: CLIENT PAUSE 0 FOO
            1: CLIENT PAUSE 0 ALL
            1: CLIENT UNPAUSE
            1: CLIENT UNPAUSE x
            1: CLIENT UNBLOCK
            1: CLIENT UNBLOCK x
            1: CLIENT UNBLOCK 999999
            1: CLIENT UNBLOCK 999999 FOO
            1: CLIENT UNBLOCK 999999 ERROR
            1: CLIENT UNBLOCK -1
        """)


class Unblock(TarnCase):
    config = """
source m mock x
map item m "item:{id:int}" "SELECT $id" as string load-timeout 30s
"""
    args = ("--enable-debug-command", "yes")

    def test_a_wait_for_a_load_is_ended(self):
        self.c.cmd("DEBUG", "SOURCE", "m", "HOLD")
        for number, (how, code) in enumerate(((("ERROR",), "UNBLOCKED"), (("TIMEOUT",), "SOURCETIMEOUT"), ((), "SOURCETIMEOUT"))):
            other = self.connect()
            client = other.cmd("CLIENT", "ID")
            self.assertEqual(self.c.cmd("CLIENT", "UNBLOCK", client), 0)
            other.send(encode("MGET", f"item:{number}", f"item:{number + 10}"))
            until(lambda: self.info("clients")["blocked_clients"] == "1", "the client to wait")
            self.assertEqual(self.c.cmd("CLIENT", "UNBLOCK", client, *how), 1)
            reply = other.reply()
            self.assertIsInstance(reply, Error)
            self.assertTrue(reply.startswith(code), reply)
            self.assertEqual(other.cmd("PING"), "PONG")
        self.c.cmd("DEBUG", "SOURCE", "m", "RELEASE")


if __name__ == "__main__":
    unittest.main()
