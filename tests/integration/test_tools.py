"""Redis's own tools: redis-cli in each of its modes, and redis-benchmark."""
import re
import shutil
import subprocess

from case import TarnCase
from resp import encode
from tarn import Tarn

# What redis-benchmark runs by default, and the commands that each of its tests sends.
BENCHMARKS = {"ping_inline": "ping", "ping_mbulk": "ping", "set": "set", "get": "get", "incr": "incr", "lpush": "lpush",
              "rpush": "rpush", "lpop": "lpop", "rpop": "rpop", "sadd": "sadd", "hset": "hset", "spop": "spop",
              "zadd": "zadd", "zpopmin": "zpopmin", "lrange_100": "lrange", "mset": "mset"}


def path_of(name):
    binary = shutil.which(name)
    if binary is None:
        raise AssertionError(f"{name} is not installed (script/setup test)")
    return binary


def tool(server, *args, stdin=None, timeout=60):
    """Runs redis-cli or redis-benchmark against the server; returns its output."""
    done = subprocess.run([path_of(args[0]), "-p", str(server.port), *args[1:]], input=stdin, capture_output=True,
                          text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def first_lines(server, count, *args):
    """Of a mode that never ends by itself."""
    process = subprocess.Popen([path_of("redis-cli"), "-p", str(server.port), *args], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        return [process.stdout.readline() for _ in range(count)]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


class Cli(TarnCase):
    def cli(self, *args, **more):
        return tool(self.tarn, "redis-cli", *args, **more)

    def test_commands_and_protocols(self):
        self.assertEqual(self.cli("SET", "k", "v").strip(), "OK")
        self.assertEqual(self.cli("-3", "GET", "k").strip(), "v")
        self.assertEqual(self.cli("-2", "GET", "k").strip(), "v")
        self.assertEqual(self.cli("-n", "2", "GET", "k").strip(), "")
        self.assertEqual(self.cli("--csv", "MGET", "k", "none").strip(), '"v",NULL')
        self.assertEqual(self.cli("-3", "--json", "HELLO", "3").count('"server":"redis"'), 1)
        self.assertEqual(self.cli("-x", "SET", "k", stdin="from stdin").strip(), "OK")
        self.assertEqual(self.cli("-r", "3", "GET", "k").split("\n")[:3], ["from stdin"] * 3)

    def test_interactive(self):
        out = self.cli(stdin="SET k 1\nINCR k\nGET k\nMULTI\nGET k\nEXEC\nHELP SET\n")
        self.assertEqual(out.split()[:6], ["OK", "2", "2", "OK", "QUEUED", "2"])
        self.assertIn("Sets", out)

    def test_scan(self):
        for i in range(300):
            self.c.cmd("SET", f"scan:{i}", "v")
        self.c.cmd("HSET", "scan:hash", "f", "v")
        self.assertEqual(len(set(self.cli("--scan", "--pattern", "scan:*").split())), 301)
        self.assertEqual(self.cli("--scan", "--pattern", "*:7").split(), ["scan:7"])
        self.assertEqual(self.cli("--scan", "--quoted-pattern", '"*:\\x37"').split(), ["scan:7"])

    def test_pipe(self):
        commands = "".join(f"SET pipe:{i} {i}\r\n" for i in range(1000))
        self.assertIn("errors: 0, replies: 1000", self.cli("--pipe", stdin=commands))
        self.assertEqual(self.c.cmd("GET", "pipe:999"), b"999")
        framed = b"".join(encode("SET", f"framed:{i}", "x" * 100) for i in range(1000)).decode()
        self.assertIn("errors: 0, replies: 1000", self.cli("--pipe", stdin=framed))
        self.assertEqual(self.c.cmd("STRLEN", "framed:999"), 100)

    def test_pipe_tells_of_errors(self):
        done = subprocess.run([path_of("redis-cli"), "-p", str(self.tarn.port), "--pipe"], input="SET a b\r\nINCR a\r\n",
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("errors: 1, replies: 2", done.stdout)

    def test_stat(self):
        self.c.cmd("SET", "k", "v")
        lines = first_lines(self.tarn, 4, "--stat", "-i", "0.01")
        self.assertIn("keys", lines[1])
        keys, memory, clients, blocked, requests = lines[3].split()[:5]
        self.assertEqual((keys, blocked), ("1", "0"))
        self.assertRegex(memory, r"^\d+(\.\d+)?[KMG]$")
        self.assertGreaterEqual(int(clients), 2)
        self.assertGreater(int(requests), 1)

    def test_bigkeys(self):
        self.c.cmd("SET", "big", b"x" * 1000)
        self.c.cmd("SET", "small", b"x")
        self.c.cmd("HSET", "wide", *[part for i in range(20) for part in (f"f{i}", i)])
        out = self.cli("--bigkeys")
        self.assertIn("Biggest string found '\"big\"' has 1000 bytes", out)
        self.assertRegex(out, r"Biggest   hash found '\"wide\"' has 20 fields")
        self.assertRegex(out, r"1 hashs with 20 fields \(33\.33% of keys, avg size 20\.00\)")

    def test_memkeys(self):
        self.c.cmd("SET", "big", b"x" * 100000)
        self.c.cmd("SET", "small", b"x")
        for args in (("--memkeys",), ("--memkeys-samples", "5")):
            found = re.search(r"Biggest string found '\"big\"' has (\d+) bytes", self.cli(*args))
            self.assertTrue(100000 < int(found[1]) < 110000, found[0])

    def test_hotkeys(self):
        with Tarn("--maxmemory-policy", "allkeys-lfu") as tarn, tarn.connect() as c:
            for i in range(50):
                c.cmd("SET", f"cold:{i}", "v")
            for _ in range(100):
                c.cmd("GET", "cold:7")
            out = tool(tarn, "redis-cli", "--hotkeys")
            self.assertRegex(out, r"hot key found with counter: \d+\tkeyname: \"cold:7\"")
            self.assertIn("Sampled 50 keys", out)
            first = out[out.index("summary"):].split("counter: ")[1]
            self.assertIn('"cold:7"', first.split("\n")[0])

    def test_latency(self):
        least, most, average, count = self.cli("--latency", "-i", "1").split()
        self.assertLessEqual(float(least), float(average))
        self.assertLessEqual(float(average), float(most))
        self.assertGreater(int(count), 10)

    def test_latency_history_and_distribution(self):
        line, = first_lines(self.tarn, 1, "--latency-history", "-i", "0.3")
        self.assertEqual(len(line.split()), 4)
        self.assertIn("milliseconds", "".join(first_lines(self.tarn, 4, "--latency-dist", "-i", "0.02")))

    def test_replica_and_rdb_are_refused_in_words(self):
        done = subprocess.run([path_of("redis-cli"), "-p", str(self.tarn.port), "--rdb", "/dev/null"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("SYNC with master failed: -ERR unknown command", done.stdout + done.stderr)

    def test_hotkeys_command(self):
        """By processor time and bytes, as newer Redis does it; from a load that is biased."""
        for i in range(3):
            self.c.cmd("SETRANGE", f"busy:{i}", 8 << 20, "x")
        self.assertEqual(self.c.cmd("HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "COUNT", "5"), "OK")
        requests = [encode("SET", f"key:{i % 200}", "v") + encode("GET", f"hot:{i % 5}") * 4 for i in range(2000)]
        requests += [encode("BITCOUNT", f"busy:{i % 3}") for i in range(100)]
        self.c.send(b"".join(requests))
        self.c.replies(5 * 2000 + 100)
        self.assertEqual(self.c.cmd("HOTKEYS", "STOP"), "OK")
        self.c.cmd("HELLO", "3")
        report, = self.c.cmd("HOTKEYS", "GET")
        self.assertEqual(report[b"tracking-active"], 0)
        self.assertEqual(set(report[b"by-cpu-time-us"][:6:2]), {b"busy:0", b"busy:1", b"busy:2"})
        self.assertEqual(set(report[b"by-net-bytes"][::2]), {b"hot:%d" % i for i in range(5)})
        for name in (b"by-cpu-time-us", b"by-net-bytes"):
            self.assertEqual(report[name][1::2], sorted(report[name][1::2], reverse=True))
        self.assertGreater(report[b"all-commands-all-slots-us"], sum(report[b"by-cpu-time-us"][1::2]))
        self.assertGreater(report[b"total-net-bytes"], sum(report[b"by-net-bytes"][1::2]))
        self.assertEqual(self.c.cmd("HOTKEYS", "RESET"), "OK")
        self.assertIsNone(self.c.cmd("HOTKEYS", "GET"))


class Benchmark(TarnCase):
    def run_tests(self, tests, *args):
        out = tool(self.tarn, "redis-benchmark", "-q", "-t", ",".join(tests), *args)
        self.assertEqual(out.count("requests per second"), len(tests))
        self.assertNotIn("rror", out)
        self.assertNotIn("WARNING", out)

    def test_default_list(self):
        known = {name.decode() for name in self.c.cmd("COMMAND", "LIST")}
        tests = [name for name, command in BENCHMARKS.items() if command in known]
        self.assertGreaterEqual(len(tests), 7)
        self.run_tests(tests, "-n", "1000")

    def test_pipelined(self):
        self.run_tests(["get", "set"], "-P", "16", "-n", "50000", "-r", "10000")
        self.run_tests(["get", "set"], "-3", "-n", "1000")

    def test_any_command(self):
        out = tool(self.tarn, "redis-benchmark", "-q", "-n", "1000", "-r", "100", "HSET", "h:__rand_int__", "f", "v")
        self.assertIn("requests per second", out)
        self.assertGreater(self.c.cmd("DBSIZE"), 50)
