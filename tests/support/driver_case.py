"""The case of the driver suite: a server over a real database, whose table and maps are those of its origin."""
import time
import unittest

from case import TarnCase
from database import fields
from resp import Error
from tarn import until

PATTERNS = {"text": "{text:str}", "large": "{size:uint}"}
OPTIONS = {"stale": "ttl 100ms refresh-ahead 0 stale-ttl 1m stale-error-ttl 0",
           "old": "ttl 100ms refresh-ahead 0 soft-timeout 50ms stale-error-ttl 1m",
           "whole": "as json", "hash": "as hash", "filled": "null empty", "wanted": "null error", "fields": "as hash",
           "object": "as json", "rows": "as jsonrows max-rows 3", "large": "max-row 4mb max-value 1kb load-timeout 20s", "slow": "load-timeout 400ms"}


def maps(origin, **options):
    """The lines of all maps of the suite; `options` adds to those of single maps."""
    lines = []
    for name, sql in origin.query.items():
        pattern = f"{name}:{PATTERNS.get(name, '{id:int}')}"
        lines.append(f'map {name} shop "{pattern}" "{sql}" error-hold 20ms {OPTIONS.get(name, "")} {options.get(name, "")}')
    return "\n".join(lines)


class OriginCase(TarnCase):
    """self.origin is the database, which the classes of one driver share; self.tarn reads from it as `shop`."""
    origin_type = None
    source_options = "load-timeout 5s"
    origins = {}

    @classmethod
    def setUpClass(cls):
        if cls.origin_type not in OriginCase.origins:
            origin = cls.origin_type()
            unittest.addModuleCleanup(origin.stop)
            OriginCase.origins[cls.origin_type] = origin
        cls.origin = OriginCase.origins[cls.origin_type]
        cls.config = cls.make_config()
        super().setUpClass()

    @classmethod
    def make_config(cls):
        return f'source shop {cls.origin.driver} "{cls.origin.dsn}" {cls.source_options}\n{maps(cls.origin)}'

    def setUp(self):
        super().setUp()
        self.assertEqual(self.c.cmd("SOURCE", "RESETSTAT"), "OK")

    def state(self, c=None):
        return fields((c or self.c).cmd("SOURCE", "INFO", "shop"))["state"]

    def error(self, key, *words, c=None, seconds=10):
        """The error of a GET, in time, one of `words`, and silent about the query."""
        start = time.monotonic()
        reply = (c or self.c).cmd("GET", key)
        self.assertLess(time.monotonic() - start, seconds)
        self.assertIsInstance(reply, Error, (key, reply))
        self.assertIn(reply.split()[0], words, reply)
        for secret in ("SELECT", "item", self.origin.dsn):
            self.assertNotIn(secret, reply)
        return reply

    def age(self):
        """Afterwards stale:1 and old:1 are past their ttl."""
        for key in ("stale:1", "old:1"):
            self.c.cmd("DEL", key)
            self.assertEqual(self.c.cmd("GET", key), b"one")
        until(lambda: self.c.cmd("PTTL", "stale:1") <= 0 and self.c.cmd("PTTL", "old:1") <= 0, "the values to be old")

    def old_values_are_served(self):
        """The other columns of the failure matrix: within stale-ttl at once, within stale-error-ttl in its place."""
        for _ in range(3):
            start = time.monotonic()
            self.assertEqual(self.c.cmd("GET", "stale:1"), b"one")
            self.assertLess(time.monotonic() - start, 0.3)
            self.assertEqual(self.c.cmd("GET", "old:1"), b"one")
            self.assertLess(time.monotonic() - start, 1)

    def plain_keys_work(self, c=None):
        c = c or self.c
        self.assertEqual(c.cmd("SET", "plain", "p"), "OK")
        self.assertEqual(c.cmd("GET", "plain"), b"p")

    def recovers(self, c=None, key="name:1", value=b"one"):
        until(lambda: (c or self.c).cmd("GET", key) == value, "loads to work again", 30)
        until(lambda: self.state(c) == b"up", "the state to be up", 10)
