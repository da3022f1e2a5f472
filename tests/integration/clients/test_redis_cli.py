"""redis-cli in the modes that people use it in."""
import os
import re
import subprocess
import tempfile
import unittest

from case import TarnCase
from resp import encode
from tarn import Tarn

SECONDS = 30


class RedisCli(TarnCase):
    args = ("--maxmemory-policy", "allkeys-lfu", "--maxmemory", "256mb")

    def cli(self, *words, stdin=None, port=None, env=None):
        done = subprocess.run(["redis-cli", "-p", str(port or self.tarn.port), *words], input=stdin, text=True,
                              capture_output=True, timeout=SECONDS, check=False, env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def fill(self):
        for i in range(200):
            self.c.cmd("SET", f"key:{i}", "v" * i)
        self.c.cmd("HSET", "person", "name", "Ada", "born", "1815")

    def test_single_commands(self):
        self.assertEqual(self.cli("SET", "k", "v", "EX", "100"), "OK\n")
        self.assertEqual(self.cli("GET", "k"), "v\n")
        self.assertEqual(self.cli("--no-raw", "GET", "none"), "(nil)\n")
        self.assertEqual(self.cli("--no-raw", "INCR", "n"), "(integer) 1\n")
        self.assertEqual(self.cli("-n", "2", "GET", "k"), "\n")
        self.assertIn("unknown command", self.cli("NOSUCH"))
        self.assertEqual(self.cli("-x", "SET", "k", stdin="from stdin"), "OK\n")
        self.assertEqual(self.cli("-r", "3", "INCR", "n"), "2\n3\n4\n")

    def test_resp3(self):
        self.cli("HSET", "person", "name", "Ada")
        self.assertEqual(self.cli("-3", "--no-raw", "HGETALL", "person"), '1# "name" => "Ada"\n')
        self.assertEqual(self.cli("-3", "--json", "HGETALL", "person"), '{"name":"Ada"}\n')
        self.assertEqual(self.cli("-3", "--csv", "MGET", "a", "b"), "NULL,NULL\n")

    def test_commands_from_stdin(self):
        said = self.cli(stdin="MULTI\nSET k 1\nINCR k\nEXEC\nHELP SET\nSELECT 3\nCLIENT INFO\n")
        self.assertTrue(said.startswith("OK\nQUEUED\nQUEUED\nOK\n2\n"), said)
        self.assertIn("Set", said)
        self.assertIn(" db=3 ", said)

    def test_pipe(self):
        with tempfile.TemporaryFile() as commands:
            commands.write(b"".join(encode("SET", f"p{i}", str(i)) for i in range(1000)))
            commands.seek(0)
            done = subprocess.run(["redis-cli", "-p", str(self.tarn.port), "--pipe"], stdin=commands, text=True,
                                  capture_output=True, timeout=SECONDS, check=False)
        self.assertIn("errors: 0, replies: 1000\n", done.stdout)
        self.assertEqual(self.c.cmd("GET", "p999"), b"999")

    def test_scan(self):
        self.fill()
        found = self.cli("--scan", "--pattern", "key:1?").split()
        self.assertEqual(sorted(found), [f"key:{i}" for i in range(10, 20)])

    def test_bigkeys(self):
        self.fill()
        said = self.cli("--bigkeys")
        self.assertRegex(said, r"Biggest string found ['\"]+key:199['\"]+ has 199 bytes")
        self.assertIn("1 hashs with 2 fields", said)

    def test_memkeys(self):
        self.fill()
        self.assertRegex(self.cli("--memkeys"), r"Biggest string found ['\"]+key:19\d['\"]+ has \d+ bytes")

    def test_hotkeys(self):
        self.fill()
        for _ in range(500):
            self.c.cmd("GET", "key:7")
        self.assertRegex(self.cli("--hotkeys"), r"hot key found with counter: \d+\s+keyname: ['\"]?key:7\b")

    def test_latency(self):
        self.assertRegex(self.cli("--latency", "--raw", "-i", "1"), r"^\d+ \d+ [\d.]+ \d+\n")
        self.assertRegex(self.cli("--intrinsic-latency", "1"), "total runs")

    def test_stat(self):
        self.fill()
        with subprocess.Popen(["redis-cli", "-p", str(self.tarn.port), "--stat", "-i", "0.01"], text=True,
                              stdout=subprocess.PIPE) as stat:
            lines = [stat.stdout.readline() for _ in range(4)]
            stat.kill()
        self.assertRegex(lines[2], r"^201 +\S+ +\d+ +0 +\d+ ")

    def test_monitor_and_subscribe(self):
        for words, act, heard in ((["MONITOR"], ("SET", "seen", "1"), '"SET" "seen" "1"'),
                                  (["SUBSCRIBE", "news"], ("PUBLISH", "news", "hello"), "hello")):
            with subprocess.Popen(["redis-cli", "-p", str(self.tarn.port), *words], text=True,
                                  stdout=subprocess.PIPE) as listener:
                listener.stdout.readline()  # OK, or the subscription
                while words[0] == "SUBSCRIBE" and listener.stdout.readline() != "1\n":
                    pass
                self.c.cmd(*act)
                while heard not in (line := listener.stdout.readline()):
                    self.assertNotEqual(line, "", "redis-cli ended")
                listener.kill()

    def test_password(self):
        with Tarn("--requirepass", "secret") as locked:
            self.assertIn("NOAUTH", self.cli("GET", "k", port=locked.port))
            self.assertEqual(self.cli("-a", "secret", "--no-auth-warning", "PING", port=locked.port), "PONG\n")
            self.assertEqual(self.cli("--user", "default", "PING", port=locked.port,
                                      env={"REDISCLI_AUTH": "secret"}), "PONG\n")

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tarn.sock")
            with Tarn(unix=path):
                done = subprocess.run(["redis-cli", "-s", path, "PING"], capture_output=True, text=True,
                                      timeout=SECONDS, check=False)
        self.assertEqual(done.stdout, "PONG\n")


class RedisBenchmark(TarnCase):
    def test_what_a_cache_has(self):
        done = subprocess.run(["redis-benchmark", "-p", str(self.tarn.port), "-n", "1000", "-q", "-P", "4", "-t",
                               "ping_inline,ping_mbulk,set,get,incr,hset,mset"], capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("rror", done.stdout)
        self.assertEqual(len(re.findall("requests per second", done.stdout)), 7, done.stdout)


if __name__ == "__main__":
    unittest.main()
