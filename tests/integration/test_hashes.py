"""Large hashes in a running server: nothing about them stops it, and their memory goes back to the system."""
import threading
import time
import unittest

from resp import encode
from tarn import Tarn, is_address_sanitized, until

FIELDS = 200000
PAUSE_SECONDS = 1.0   # far above what freeing takes in slices, far below what a busy test machine may do to a client


def fill(connection, key, count=FIELDS):
    for begin in range(0, count, 1000):
        pairs = [word for i in range(begin, begin + 1000) for word in (b"field:%d" % i, b"value %d" % i)]
        connection.send(encode(b"HSET", key, *pairs))
        assert connection.reply() == 1000


def used_memory(connection):
    lines = connection.cmd("INFO", "memory").decode().split("\r\n")
    return int(next(line for line in lines if line.startswith("used_memory:")).partition(":")[2])


class Watch(threading.Thread):
    """Another client, which notes the longest time an answer took."""

    def __init__(self, server):
        super().__init__()
        self.connection = server.connect()
        self.is_over = False
        self.longest = 0

    def run(self):
        while not self.is_over:
            before = time.monotonic()
            self.connection.cmd("GET", "x")
            self.longest = max(self.longest, time.monotonic() - before)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.is_over = True
        self.join()
        self.connection.close()


class LargeHashes(unittest.TestCase):
    def test_ways_to_go(self):
        """DEL, replacing, expiry of the key, expiry of all fields, FLUSHALL: the memory is back soon after."""
        ways = {
            "DEL": lambda c: c.cmd("DEL", "big"),
            "SET": lambda c: c.cmd("SET", "big", "small"),
            "PEXPIRE": lambda c: c.cmd("PEXPIRE", "big", 1),
            "HPEXPIRE": lambda c: [c.cmd("HPEXPIRE", "big", 1, "FIELDS", 1000,
                                         *(b"field:%d" % i for i in range(begin, begin + 1000)))
                                   for begin in range(0, FIELDS, 1000)],
            "RENAME": lambda c: (c.cmd("HSET", "other", "a", "b"), c.cmd("RENAME", "other", "big")),
            "FLUSHALL": lambda c: c.cmd("FLUSHALL"),
        }
        with Tarn() as server, server.connect(timeout=60) as c:
            for name, go in ways.items():
                with self.subTest(name):
                    c.cmd("FLUSHALL")
                    empty, empty_rss = used_memory(c), server.rss()
                    fill(c, "big")
                    full = used_memory(c)
                    self.assertGreater(full - empty, FIELDS * 40)
                    with Watch(server) as watch:
                        go(c)
                        until(lambda: used_memory(c) - empty < (full - empty) / 20, f"the memory after {name}")
                    self.assertLess(watch.longest, PAUSE_SECONDS)
                    # What the process really holds follows what it counts.
                    if not is_address_sanitized():
                        self.assertLess(server.rss() - empty_rss, (full - empty) / 4 + (8 << 20))

    def test_memory_limit(self):
        """Large hashes are evicted like anything else, and the process stays near its limit."""
        limit = 64 << 20
        with Tarn("--maxmemory", str(limit)) as server, server.connect(timeout=60) as c:
            for i in range(30):
                fill(c, f"hash:{i}", 50000)
                self.assertLess(used_memory(c), limit * 1.1)
            if not is_address_sanitized():
                self.assertLess(server.rss(), limit * 1.3 + (16 << 20))
            self.assertGreaterEqual(c.cmd("EXISTS", "hash:29"), 1)
            self.assertEqual(c.cmd("HLEN", "hash:29"), 50000)
            self.assertLess(c.cmd("DBSIZE"), 30)

    def test_access_time_does_not_depend_on_size(self):
        with Tarn() as server, server.connect(timeout=60) as c:
            fill(c, "big")
            for i in range(0, FIELDS, 997):
                self.assertEqual(c.cmd("HGET", "big", b"field:%d" % i), b"value %d" % i)
            cursor, seen = b"0", set()
            while True:
                cursor, found = c.cmd("HSCAN", "big", cursor, "COUNT", 1000)
                seen.update(found[::2])
                if cursor == b"0":
                    break
            self.assertEqual(len(seen), FIELDS)
            self.assertEqual(c.cmd("HLEN", "big"), FIELDS)
            self.assertEqual(len(set(c.cmd("HRANDFIELD", "big", 1000))), 1000)


if __name__ == "__main__":
    unittest.main()
