"""Commands beyond what the differential run covers: expiry in real time, SCAN, the memory limit."""
import random
import time
import unittest

from case import TarnCase
from resp import Error, encode
from tarn import Tarn, is_address_sanitized, until


class RealTime(TarnCase):
    """Expiry as a client sees it; what depends on odd times is in the unit tests with a clock of their own."""

    def test_keys_vanish_on_time(self):
        self.c.cmd("SET", "k", "v", "PX", "150")
        start = time.monotonic()
        self.assertEqual(self.c.cmd("GET", "k"), b"v")
        until(lambda: self.c.cmd("GET", "k") is None, "the key to expire", 5)
        lived = time.monotonic() - start
        self.assertGreater(lived, 0.13)
        self.assertEqual(self.c.cmd("TTL", "k"), -2)
        self.assertEqual(self.c.cmd("EXISTS", "k"), 0)

    def test_an_expired_key_is_gone_for_every_command(self):
        for words in (["TYPE", "k"], ["STRLEN", "k"], ["GETDEL", "k"], ["PERSIST", "k"], ["TOUCH", "k"], ["KEYS", "*"],
                      ["RANDOMKEY"], ["EXPIRE", "k", "100"], ["RENAMENX", "k", "l"]):
            self.assertEqual(self.c.cmd("SET", "k", "v", "PX", "1"), "OK")
            time.sleep(0.01)  # longer than its life
            reply = self.c.cmd(*words)
            self.assertTrue(isinstance(reply, Error) or reply in (0, None, "none", []), (words, reply))
        self.c.cmd("SET", "k", "v", "PX", "1")
        time.sleep(0.01)
        self.assertEqual(self.c.cmd("SCAN", "0", "COUNT", "1000"), [b"0", []])
        until(lambda: self.c.cmd("DBSIZE") == 0, "DBSIZE to follow the clock")

    def test_debug_sleep_is_refused_by_default(self):
        self.assertIsInstance(self.c.cmd("DEBUG", "SLEEP", "0"), Error)

    def test_time_is_the_wall_clock(self):
        seconds, micros = self.c.cmd("TIME")
        self.assertLess(abs(int(seconds) - time.time()), 60)
        self.assertLess(int(micros), 1000000)


class Scanning(TarnCase):
    def scan(self, *options):
        cursor, keys = b"0", []
        while True:
            cursor, found = self.c.cmd("SCAN", cursor, *options)
            keys += found
            if cursor == b"0":
                return keys

    def test_every_key_that_stays_is_returned(self):
        """While other keys come and go and the index grows, nothing that was there all the time is missed."""
        stay = {b"stay:%d" % i for i in range(5000)}
        self.c.send(b"".join(encode("SET", k, "v") for k in stay))
        self.c.replies(len(stay))
        cursor, seen, n = b"0", set(), 0
        while True:
            cursor, found = self.c.cmd("SCAN", cursor, "COUNT", "50")
            seen.update(found)
            if cursor == b"0":
                break
            burst = b"".join(encode("SET", f"new:{n + i}", "v") + encode("DEL", f"new:{n + i - 300}")
                             for i in range(500))
            n += 500
            self.c.send(burst)
            self.c.replies(1000)
        self.assertEqual(stay - seen, set())

    def test_match_count_and_type(self):
        for i in range(100):
            self.c.cmd("SET", f"a:{i}", "v")
            self.c.cmd("SET", f"b:{i}", "v")
        self.assertEqual(len(set(self.scan("MATCH", "a:*"))), 100)
        self.assertEqual(len(set(self.scan("COUNT", "1"))), 200)
        self.assertEqual(len(set(self.scan("TYPE", "string"))), 200)
        self.assertEqual(self.scan("TYPE", "hash"), [])

    def test_any_cursor_is_survived(self):
        self.c.cmd("SET", "k", "v")
        for cursor in ("1", "18446744073709551615", "9223372036854775807", "4294967296"):
            self.assertIsInstance(self.c.cmd("SCAN", cursor), list)

    def test_patterns_that_blow_up_elsewhere_do_not_here(self):
        self.c.cmd("SET", "a" * 1000, "v")
        start = time.monotonic()
        self.assertEqual(self.c.cmd("KEYS", "a*" * 500 + "b"), [])
        self.c.cmd("KEYS", "*" * (1 << 20))
        self.c.cmd("KEYS", "[" * 1000)
        self.assertLess(time.monotonic() - start, 5)


class LentValues(unittest.TestCase):
    def test_pipelines_of_large_reads_with_writes_between(self):
        """A value on its way to the socket is not touched by what follows in the same pipeline."""
        rng = random.Random(7)
        expected = {}
        with Tarn() as tarn, tarn.connect() as c:
            for _ in range(300):
                requests, replies = [], []
                for _ in range(rng.randrange(1, 60)):
                    key = f"k{rng.randrange(8)}"
                    kind = rng.randrange(10)
                    if kind < 8 or rng.random() < 0.5:
                        requests.append(encode("GET", key))
                        replies.append(expected.get(key))
                    elif kind == 8:
                        requests.append(encode("UNLINK", key))
                        replies.append(int(expected.pop(key, None) is not None))
                    else:
                        expected[key] = rng.randbytes(rng.choice((100, 3999, 3999, 3999, 4000, 5000, 40000, 70000)))
                        requests.append(encode("SET", key, expected[key]))
                        replies.append("OK")
                c.send(b"".join(requests))
                self.assertEqual(list(c.replies(len(requests))), replies)


class Memory(unittest.TestCase):
    def test_maxmemory_holds_while_values_stream_in(self):
        limit = 64 << 20
        with Tarn("--maxmemory", str(limit)) as tarn, tarn.connect() as c:
            empty = tarn.rss()
            for start in range(0, 300000, 5000):
                c.send(b"".join(encode("SET", f"key:{i}", b"v" * 1000) for i in range(start, start + 5000)))
                self.assertTrue(all(reply == "OK" for reply in c.replies(5000)))
                if not is_address_sanitized():
                    self.assertLess(tarn.rss(), limit * 1.1 + empty)
            def info():
                return dict(x.split(":", 1) for x in c.cmd("INFO").decode().split("\r\n") if ":" in x)
            self.assertLessEqual(int(info()["used_memory"]), limit + limit // 64)  # what a burst may take
            until(lambda: int(info()["used_memory"]) <= limit, "the burst's part to be given back")
            self.assertGreater(int(info()["evicted_keys"]), 100000)
            self.assertEqual(c.cmd("GET", "key:299999"), b"v" * 1000)

    def test_a_value_larger_than_the_limit_is_refused_and_evicts_nothing(self):
        with Tarn("--maxmemory", "16mb") as tarn, tarn.connect() as c:
            for i in range(1000):
                self.assertEqual(c.cmd("SET", f"k{i}", "v"), "OK")
            reply = c.cmd("SETRANGE", "big", 20 << 20, "x")
            self.assertIsInstance(reply, Error)
            self.assertTrue(reply.startswith("OOM "), reply)
            self.assertEqual(c.cmd("DBSIZE"), 1000)
            self.assertTrue(c.cmd("SET", "big", b"x" * (20 << 20)).startswith("OOM "))
            self.assertEqual(c.cmd("EXISTS", "big"), 0)
