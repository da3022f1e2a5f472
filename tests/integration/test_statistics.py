"""What the server tells of its own work: slow log, latency events, times and errors of commands, sections of INFO."""
import re
import unittest

from case import CompareCase, TarnCase
from tarn import run_tarn


def sections(connection, *names):
    return re.findall(r"^# (\w+)", connection.cmd("INFO", *names).decode(), re.M)


def lines(connection, section):
    """The fields of a section as a dict, `a=1,b=2` values as dicts of their own."""
    text = connection.cmd("INFO", section).decode()
    fields = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
    return {name: dict(part.split("=") for part in value.split(",")) for name, value in fields.items() if "=" in value}


class Texts(CompareCase):
    args = ("--enable-debug-command", "yes")

    def test_replies_are_those_of_redis(self):
        self.assert_same("""
            1: SLOWLOG
            1: SLOWLOG LEN extra
            1: SLOWLOG GET -2
            1: SLOWLOG GET x
            1: SLOWLOG GET 1 2
            1: SLOWLOG nonsense
            1: CONFIG SET slowlog-log-slower-than -2
            1: CONFIG SET slowlog-log-slower-than x
            1: CONFIG SET slowlog-log-slower-than -1
            1: SLOWLOG RESET
            1: SLOWLOG LEN
            1: SLOWLOG GET
            1: CONFIG SET slowlog-max-len -1000000000000000000000
            1: CONFIG SET latency-tracking-info-percentiles "50 101"
            1: CONFIG SET latency-tracking-info-percentiles "50 -1"
            1: CONFIG SET latency-tracking-info-percentiles "50 a"
            1: CONFIG SET latency-tracking-info-percentiles ""
            1: CONFIG GET latency-tracking-info-percentiles
            1: CONFIG SET latency-tracking-info-percentiles "50 99 100"
            1: LATENCY HISTORY nonsense
            1: LATENCY LATEST
            1: LATENCY RESET
            1: LATENCY RESET a b
            1: LATENCY GRAPH nonsense
            1: LATENCY GRAPH
            1: LATENCY nonsense
            1: LATENCY HISTOGRAM nonsense
            1: INFO nonsense
        """)

    def test_an_entry_has_the_shape_of_redis(self):
        for c in (self.r, self.c):
            self.assertEqual(c.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0"), "OK")
            self.assertEqual(c.cmd("SLOWLOG", "RESET"), "OK")
            c.cmd("CLIENT", "SETNAME", "me")
            c.cmd("SADD" if c is self.r else "SET", "k", "x" * 200)
            c.cmd("DEL", *range(40))
        expected, got = (c.cmd("SLOWLOG", "GET") for c in (self.r, self.c))
        self.assertEqual(len(got), len(expected))
        for mine, theirs in zip(got, expected):
            self.assertEqual(mine[0], theirs[0], "numbers go on after a reset")
            self.assertLess(abs(mine[1] - theirs[1]), 5)
            self.assertEqual(len(mine), len(theirs))
            self.assertEqual(mine[3][1:], theirs[3][1:])
            self.assertEqual(mine[5], theirs[5])
            self.assertRegex(mine[4].decode(), r"^127\.0\.0\.1:\d+$")
        for c in (self.r, self.c):
            c.cmd("CONFIG", "SET", "slowlog-log-slower-than", "10000")

    def test_slow_commands_are_events(self):
        for c in (self.r, self.c):
            self.assertEqual(c.cmd("CONFIG", "SET", "latency-monitor-threshold", "200"), "OK")
            self.assertEqual(c.cmd("DEBUG", "SLEEP", "0.25"), "OK")
            (name, _, last, worst), = c.cmd("LATENCY", "LATEST")
            self.assertEqual((name, last), (b"command", worst))
            self.assertGreaterEqual(last, 250)
            self.assertEqual(len(c.cmd("LATENCY", "HISTORY", "command")), 1)
            self.assertRegex(c.cmd("LATENCY", "GRAPH", "command").decode(),
                             r"^command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)\n")
            self.assertIn(b"command", c.cmd("LATENCY", "DOCTOR"))
            self.assertEqual(c.cmd("LATENCY", "RESET"), 1)
            self.assertEqual(c.cmd("CONFIG", "SET", "latency-monitor-threshold", "0"), "OK")

    def test_sections(self):
        for names in ((), ("default",), ("all",), ("everything",), ("server",), ("SERVER", "clients"),
                      ("default", "commandstats"), ("all", "server"), ("nonsense",), ("nonsense", "keyspace", "cpu")):
            with self.subTest(sections=names):
                self.c.cmd("SET", "k", "v")
                self.r.cmd("SET", "k", "v")
                mine = [s for s in sections(self.c, *names) if s != "Sources"]
                self.assertEqual(mine, sections(self.r, *names))

    def test_errors_and_calls_are_counted_as_in_redis(self):
        for c in (self.r, self.c):
            self.assertEqual(c.cmd("CONFIG", "RESETSTAT"), "OK")
            c.cmd("SET", "k", "v")
            c.cmd("HSET", "h", "f", "v")
            for request in (("GET",), ("GET", "h"), ("GET", "k"), ("INCR", "k"), ("nonsense",), ("CONFIG", "nonsense"),
                            ("CONFIG", "SET", "nonsense", "1"), ("AUTH", "a", "b"), ("EXEC",), ("MULTI",),
                            ("SET", "a"), ("EXEC",), ("MULTI",), ("INCR", "k"), ("GET", "k"), ("EXEC",),
                            ("LPUSH" if c is self.r else "INCR", "h", "x")[:3 if c is self.r else 2]):
                c.cmd(*request)
        self.assertEqual(lines(self.c, "errorstats"), lines(self.r, "errorstats"))
        expected, got = (lines(c, "commandstats") for c in (self.r, self.c))
        for name in ("get", "set", "hset", "config|set", "auth", "multi", "exec"):
            for field in ("calls", "rejected_calls", "failed_calls"):
                self.assertEqual(got["cmdstat_" + name][field], expected["cmdstat_" + name][field], (name, field))
        self.assertEqual(set(got["cmdstat_get"]), set(expected["cmdstat_get"]))
        counts = [c.cmd("INFO", "stats").decode().split("total_error_replies:")[1].split()[0] for c in (self.r, self.c)]
        self.assertEqual(counts[1], counts[0])

    def test_percentiles(self):
        for c in (self.r, self.c):
            c.cmd("CONFIG", "SET", "latency-tracking-info-percentiles", "0 50 99.9 100")
            c.cmd("CONFIG", "RESETSTAT")
            for _ in range(10):
                c.cmd("GET", "k")
        expected, got = (lines(c, "latencystats") for c in (self.r, self.c))
        name = "latency_percentiles_usec_get"
        self.assertEqual(list(got[name]), list(expected[name]))
        values = [float(value) for value in got[name].values()]
        self.assertEqual(values, sorted(values))
        self.assertGreater(values[0], 0)
        for c in (self.r, self.c):
            c.cmd("CONFIG", "SET", "latency-tracking", "no")
            c.cmd("CONFIG", "RESETSTAT")
            c.cmd("GET", "k")
        self.assertEqual(lines(self.c, "latencystats"), {})
        for c in (self.r, self.c):
            c.cmd("CONFIG", "SET", "latency-tracking", "yes")

    def test_histogram(self):
        for c in (self.r, self.c):
            c.cmd("CONFIG", "RESETSTAT")
            for _ in range(5):
                c.cmd("GET", "k")
            c.cmd("CONFIG", "GET", "port")
            c.cmd("HELLO", "3")
            reply = c.cmd("LATENCY", "HISTOGRAM", "config", "get", "nonsense")
            self.assertEqual(set(reply), {b"get", b"config|get", b"config|resetstat"})
            self.assertEqual(reply[b"get"][b"calls"], 5)
            counts = list(reply[b"get"][b"histogram_usec"].values())
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(counts[-1], 5)


class Large(TarnCase):
    """Reads of large values, which are timed when their reply is seen to be large."""
    args = ("--slowlog-log-slower-than", "1000")

    def test_a_slow_read_is_in_the_log(self):
        size = 100 << 20
        self.c.cmd("SET", "small", "x")
        self.c.cmd("SET", "large", b"x" * size)
        for _ in range(200):
            self.c.cmd("GET", "small")
        self.assertEqual(self.c.cmd("SLOWLOG", "RESET"), "OK")
        self.assertEqual(len(self.c.cmd("GET", "large")), size)
        entries = self.c.cmd("SLOWLOG", "GET")
        self.assertIn([b"GET", b"large"], [entry[3] for entry in entries])
        self.assertGreater(entries[0][2], 1000)


class Direct(TarnCase):
    """Values that are sent from where they lie: what is left of them in a buffer is no reply of its own."""

    def test_they_are_no_errors_and_are_weighed(self):
        value = b"-" * (1 << 20)
        self.c.cmd("SET", "k", value)
        self.c.cmd("CONFIG", "RESETSTAT")
        self.assertEqual(self.c.cmd("HOTKEYS", "START", "METRICS", "1", "NET"), "OK")
        self.c.send(b"PING\r\nGET k\r\nGET k\r\n")
        self.assertEqual(self.c.reply(), "PONG")
        for _ in range(2):
            self.assertEqual(self.c.reply(), value)
        self.assertEqual(self.c.cmd("HOTKEYS", "STOP"), "OK")
        name, weight = self.c.cmd("HOTKEYS", "GET")[0][-1]
        self.assertEqual(name, b"k")
        self.assertTrue(2 * len(value) <= weight <= 2 * len(value) + 200, weight)
        self.assertEqual(lines(self.c, "commandstats")["cmdstat_get"]["failed_calls"], "0")
        self.assertEqual(lines(self.c, "errorstats"), {})


class Start(unittest.TestCase):
    def test_bad_percentiles_are_refused(self):
        done = run_tarn("--latency-tracking-info-percentiles", "50", "101", "--port", "0")
        self.assertEqual(done.returncode, 78)
        self.assertIn("latency-tracking-info-percentiles", done.stderr)


class Loads(TarnCase):
    """A load makes its client wait; it is neither the command's time nor slow."""
    config = """
        source shop mock -
        map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id'
    """
    args = ("--enable-debug-command", "yes", "--slowlog-log-slower-than", "200000")

    def test_a_wait_is_in_the_histogram_of_the_source_only(self):
        self.assertEqual(self.c.cmd("DEBUG", "SOURCE", "shop", "HOLD"), b"OK")
        reader = self.connect()
        reader.send(b"GET user:1\r\n")
        self.assertEqual(self.c.cmd("DEBUG", "SLEEP", "0.25"), "OK")
        self.assertEqual(self.c.cmd("DEBUG", "SOURCE", "shop", "RELEASE"), b"OK")
        reader.reply()
        self.c.cmd("HELLO", "3")
        self.assertEqual([e[3][0] for e in self.c.cmd("SLOWLOG", "GET")], [b"DEBUG"])
        histogram = self.c.cmd("LATENCY", "HISTOGRAM", "get", "source")
        self.assertGreaterEqual(min(histogram[b"source"][b"histogram_usec"]), 32)
        self.assertEqual(histogram[b"get"][b"calls"], 1)
        self.assertLess(max(histogram[b"get"][b"histogram_usec"]), 200000)
