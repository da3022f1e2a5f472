"""A million keys that expire untouched: their memory comes back at once and cheaply."""
import sys
import threading
import time
import unittest

from tarn import Tarn, until
from watch import fill, info

KEYS = 1000000
TTL_SECONDS = 5
BACK_PART = 0.99


class Pings:
    """The longest time a PING took while the block ran."""

    def __init__(self, server):
        self.connection = server.connect()
        self.longest = 0.0
        self.ended = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended:
            started = time.perf_counter()
            self.connection.cmd("PING")
            self.longest = max(self.longest, time.perf_counter() - started)
            time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.ended = True
        self.thread.join()
        self.connection.close()


class Expiry(unittest.TestCase):
    def test_memory_of_untouched_keys_comes_back(self):
        """That it does is tested; how soon and at what cost is printed, because it depends on the machine."""
        with Tarn() as server, server.connect() as c:
            def state():
                return int(info(c, "memory")["used_memory"]), server.rss()

            def back():
                return [(f - a) / (f - e) for e, f, a in zip(empty, full, state())]
            empty = state()
            fill(server, "--keys", KEYS, "--value", 100, "--ttl", TTL_SECONDS, "--pipeline", 1000)
            filled_at = time.monotonic()
            full = state()
            cpu = server.cpu_seconds()
            expired = int(info(c, "stats")["expired_keys"])
            until(lambda: min(back()) > BACK_PART, "the memory of expired keys to come back", 60)
            late = time.monotonic() - filled_at - TTL_SECONDS
            cpu = server.cpu_seconds() - cpu
            expired = int(info(c, "stats")["expired_keys"]) - expired
            sys.stdout.write(f"# back {late:.2f} s after the last key expired; "
                             f"{cpu / max(1, expired) * 1e9:.0f} ns CPU per key, {expired} keys\n")
            until(lambda: c.cmd("DBSIZE") == 0, "the last key to go")

    def test_replies_go_on_while_keys_expire(self):
        with Tarn() as server, server.connect() as c:
            fill(server, "--keys", KEYS, "--value", 100, "--ttl", TTL_SECONDS, "--pipeline", 1000)
            with Pings(server) as pings:
                until(lambda: c.cmd("DBSIZE") == 0, "all keys to go", 60)
            sys.stdout.write(f"# the longest PING took {pings.longest * 1e3:.2f} ms\n")


if __name__ == "__main__":
    unittest.main()
