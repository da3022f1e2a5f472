"""Base classes for integration tests: one server per class, a clean store and one connection per test."""
import shlex
import unittest

from resp import encode
from tarn import Redis, Tarn


class TarnCase(unittest.TestCase):
    """self.tarn is the server, self.c a connection to it. Subclasses set `config` and `args`."""
    config = ""
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.tarn = Tarn(*cls.args, config=cls.config)
        cls.addClassCleanup(lambda: cls.tarn.stop())  # whichever it is then; also when a subclass skips itself

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

    def assert_same(self, script):
        """Runs lines "number: word word ..." on connection `number` of each server, and compares every reply byte for
        byte. Words in quotes may hold blanks; "number: <" expects one message more on that connection."""
        links = {}
        for line in script.strip().split("\n"):
            number, _, request = (part.strip() for part in line.strip().partition(":"))
            if number not in links:
                links[number] = (self.redis.connect(), self.connect())
                self.addCleanup(links[number][0].close)
            for link in links[number]:
                if request != "<":
                    link.send(encode(*shlex.split(request)))
            expected, got = (link.raw_reply() for link in links[number])
            self.assertEqual(got, expected, line.strip())
