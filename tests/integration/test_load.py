"""tarn-load against the running server: replies are checked, and the output can be read."""
import csv
import io
import json
import os
import subprocess
import sys
import unittest

from case import TarnCase

FIGURES = {"throughput", "p50_us", "p99_us", "p99.9_us", "p99.99_us", "max_us", "cpu_ns", "cpu_user_ns", "cpu_system_ns",
           "rss"}


def load(*arguments, check=True):
    done = subprocess.run([os.environ["TARN_LOAD"], *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"tarn-load ended with {done.returncode}: {done.stderr}")
    return done


class Load(TarnCase):
    def run_load(self, *arguments):
        return json.loads(load("--port", self.tarn.port, "--format", "json", *arguments).stdout)

    def test_closed_loop(self):
        result = self.run_load("--requests", 20000, "--keys", 1000, "--fill", "--connections", 7, "--pipeline", 16)
        self.assertEqual((result["requests"], result["hits"]), (20000, 20000))
        self.assertEqual((result["errors"], result["wrong"], result["misses"]), (0, 0, 0))
        self.assertEqual(result["pid"], self.tarn.pid)
        for figure in FIGURES:
            self.assertGreater(result[figure], -1, figure)
        self.assertLessEqual(result["p50_us"], result["p99_us"])
        self.assertLessEqual(result["p99.99_us"], result["max_us"])
        self.assertEqual(self.c.cmd("DBSIZE"), 1000)

    def test_mixed_with_misses_and_varied_values(self):
        result = self.run_load("--requests", 20000, "--keys", 500, "--fill", "--reads", 75, "--hits", 60, "--key-order",
                               "zipf", "--value", "1-3000", "--pipeline", 8)
        self.assertEqual((result["errors"], result["wrong"]), (0, 0))
        self.assertAlmostEqual(result["gets"] / 20000, 0.75, delta=0.03)
        self.assertAlmostEqual(result["hits"] / result["gets"], 0.6, delta=0.03)

    def test_values_larger_than_a_socket_buffer(self):
        result = self.run_load("--requests", 200, "--keys", 10, "--fill", "--value", "3mb", "--reads", 50,
                               "--connections", 3, "--pipeline", 4)
        self.assertEqual((result["requests"], result["errors"], result["wrong"], result["misses"]), (200, 0, 0, 0))

    def test_open_loop_sends_what_is_due(self):
        result = self.run_load("--requests", 500, "--rate", 1000, "--keys", 100, "--reads", 0, "--connections", 4)
        self.assertEqual(result["requests"], 500)
        self.assertGreater(result["seconds"], 0.49)

    def test_sequential_writes_each_key_once_with_a_ttl(self):
        self.run_load("--requests", 300, "--keys", 300, "--key-order", "sequential", "--reads", 0, "--ttl", "100s")
        self.assertEqual(self.c.cmd("DBSIZE"), 300)
        self.assertGreater(self.c.cmd("PTTL", "key:000000000299"), 1000)

    def test_a_wrong_value_is_noticed(self):
        self.c.cmd("SET", "key:000000000000", "x" * 100)
        done = load("--port", self.tarn.port, "--requests", 1, "--keys", 1, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("wrong", done.stderr)

    def test_refusals_are_counted_and_shown(self):
        self.c.cmd("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
        self.addCleanup(self.c.cmd, "CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "allkeys-adaptive")
        result = self.run_load("--requests", 100, "--keys", 100, "--reads", 0)
        self.assertEqual(result["errors"], 100)
        self.assertTrue(result["first_error"].startswith("-OOM"), result["first_error"])

    def test_csv_has_a_header_and_a_row(self):
        text = load("--port", self.tarn.port, "--requests", 10, "--name", "ten", "--format", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([(r["name"], r["requests"]) for r in rows], [("ten", "10")])

    def test_table_is_for_people(self):
        self.assertRegex(load("--port", self.tarn.port, "--requests", 10).stdout, r"throughput +\d+ /s")

    def test_a_server_that_is_not_there(self):
        done = load("--port", 1, "--requests", 1, check=False)
        self.assertEqual((done.returncode, done.stdout), (69, ""))

    def test_options_are_judged(self):
        for bad in (["--pipeline", "0"], ["--nothing"], ["--value", "9-3"], ["--key-order", "zipf:-1"], ["--port"]):
            self.assertEqual(load(*bad, check=False).returncode, 64, bad)


class Bench(unittest.TestCase):
    def test_a_whole_comparison(self):
        """Tarn and a peer (tarn again) through one short load and one special measurement."""
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        sys.path.append(os.path.join(root, "bench"))
        from workloads import Data, WORKLOADS
        names = [w.name for w in WORKLOADS if w.data == Data(keys=5000, value="64kb")][:1]
        import tempfile
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run(
                [sys.executable, os.path.join(root, "bench", "bench.py"), "--tarn", os.environ["TARN_BIN"], "--load",
                 os.environ["TARN_LOAD"], "--peer", f"again={os.environ['TARN_BIN']}", "--only", "again", "--out", out,
                 "--quick", "--repeats", "1", "--seconds", "0.1", *names, "startup"],
                capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            files = sorted(os.path.splitext(f)[1] for f in os.listdir(out))
            self.assertEqual(files, [".csv", ".md", ".svg"])
            page = [f for f in os.listdir(out) if f.endswith(".md")][0]
            with open(os.path.join(out, page), encoding="utf-8") as f:
                text = f.read()
            self.assertIn("GET 64 KiB", text)
            self.assertIn("first PONG", text)


if __name__ == "__main__":
    unittest.main()
