"""Base classes for integration tests: one server per class, a clean store and one connection per test."""
import unittest

from tarn import Redis, Tarn


class TarnCase(unittest.TestCase):
    """self.tarn is the server, self.c a connection to it. Subclasses set `config` and `args`."""
    config = ""
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.tarn = Tarn(*cls.args, config=cls.config)

    @classmethod
    def tearDownClass(cls):
        cls.tarn.stop()

    def setUp(self):
        self.c = self.connect()
        self.assertEqual(self.c.cmd("FLUSHALL"), "OK")

    def connect(self):
        c = self.tarn.connect()
        self.addCleanup(c.close)
        return c

    def info(self, section):
        """One section of INFO as a dict."""
        text = self.c.cmd("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    def turn(self):
        """Returns after the server has read whatever was sent before on any connection of this machine."""
        self.assertEqual(self.c.cmd("PING"), "PONG")


class CompareCase(TarnCase):
    """A TarnCase with a redis-server beside it: self.redis, and self.r is the connection to it."""

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis()
        cls.addClassCleanup(cls.redis.stop)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.r = self.redis.connect()
        self.addCleanup(self.r.close)
        self.assertEqual(self.r.cmd("FLUSHALL"), "OK")
