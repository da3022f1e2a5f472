"""Counts the instructions of hot paths under callgrind and compares them with what was recorded: see script/instructions.

A count does not depend on what else the machine does. It says nothing of waiting for memory or of the kernel.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

from servers import Client, Program, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "results", "instructions.md")
TOLERATED_PERCENT = 6
SMALL_ROUNDS = 100  # of bench_resp.c
PIPELINE = 64
REQUESTS = 100000
KEYS = 50000
START_SECONDS = 60

HEAD = """# Instructions

User instructions per operation, counted by callgrind: `script/instructions` writes this file, `script/instructions
--check` compares with it and fails when a row has grown by more than {percent} %. The server's rows are whole requests,
100 B values, 50 connections, {keys} keys; the kernel's are not counted. They
vary by a percent or two with the number of turns that the requests fall into.

Compiler: {compiler}

| what | instructions |
|---|---:|
"""


def collected(command):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
                          capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def per_operation(make_command, few, many):
    """Two runs that differ in the number of operations only."""
    return (collected(make_command(many)) - collected(make_command(few))) / (many - few)


def resp_rows(build):
    for row in ("parse GET", "parse SET", "parse MGET of 32", "parse SET in segments", "write OK",
                "write bulk of 32 to 95"):
        def command(n, row=row):
            return [f"{build}/bench/bench-resp", str(n), row]
        # MGET makes a tenth of the iterations.
        few, many = (10, 30) if "MGET" in row else (1, 3)
        share = 10 if "MGET" in row else 1
        yield f"resp: {row}", per_operation(command, few, many) * share / (SMALL_ROUNDS * PIPELINE)


def store_rows(build):
    for mode in ("find", "find-batch", "set", "insert", "reclaim", "expire"):
        def command(n, mode=mode):
            return [f"{build}/bench/bench-store", mode, "--keys", "20000", "--operations", str(n)]
        yield f"store: {mode}", per_operation(command, 25600, 102400)


class CountedServer:
    """The server under callgrind, counting only when told to."""

    def __init__(self, binary, folder):
        self.out = os.path.join(folder, "callgrind.out")
        self.port = free_port()
        self.program = Program("tarn", binary)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "valgrind", "--tool=callgrind", "--instr-atstart=no",
             f"--callgrind-out-file={self.out}", binary, "--port", str(self.port), "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError("the server does not start under valgrind")
            time.sleep(0.05)

    def answers(self):
        try:
            with Client(self) as c:
                return c.ping()
        except OSError:
            return False

    def load(self, path, *arguments):
        subprocess.run([path, "--port", str(self.port), "--pid", str(self.process.pid), "--keys", str(KEYS),
                        "--format", "csv", *arguments], stdout=subprocess.DEVNULL, check=True)

    def count(self, switch):
        subprocess.run(["callgrind_control", "-i", switch, str(self.process.pid)], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)

    def end(self):
        self.process.terminate()
        self.process.wait()
        counts = []
        for path in glob.glob(self.out + "*"):  # switching may begin another file
            with open(path, encoding="ascii") as f:
                counts += re.findall(r"^(?:totals|summary): (\d+)", f.read(), re.MULTILINE)
        return max(map(int, counts))


def server_rows(build):
    loads = [("GET", 1, 100), ("GET", 16, 100), ("GET", 64, 100), ("SET", 1, 0), ("SET", 16, 0)]
    for name, pipeline, reads in loads:
        with tempfile.TemporaryDirectory() as folder:
            server = CountedServer(f"{build}/src/tarn", folder)
            path = f"{build}/bench/load/tarn-load"
            server.load(path, "--key-order", "sequential", "--reads", "0", "--requests", str(KEYS), "--pipeline", "64")
            server.count("on")
            server.load(path, "--pipeline", str(pipeline), "--reads", str(reads), "--requests", str(REQUESTS))
            server.count("off")
            yield f"server: {name}, pipeline {pipeline}", server.end() / REQUESTS


def recorded():
    try:
        with open(RECORD, encoding="utf-8") as f:
            return {m.group(1): float(m.group(2)) for m in re.finditer(r"^\| (\w+: [^|]+) \| ([\d.]+) \|$", f.read(),
                                                                       re.MULTILINE)}
    except FileNotFoundError:
        return {}


def main():
    parser = argparse.ArgumentParser(prog="script/instructions", description="Counts instructions of hot paths.")
    parser.add_argument("--check", action="store_true", help="compare with the record instead of writing it")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    before, after = recorded(), {}
    for rows in (resp_rows, store_rows, server_rows):
        for name, count in rows(args.build):
            after[name] = count
            old = before.get(name)
            print(f"{name:36}{count:9.1f}" + (f"   {100 * (count / old - 1):+.1f} %" if old else ""), flush=True)
    if not args.check:
        compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
        os.makedirs(os.path.dirname(RECORD), exist_ok=True)
        with open(RECORD, "w", encoding="utf-8") as f:
            f.write(HEAD.format(percent=TOLERATED_PERCENT, keys=KEYS, compiler=compiler))
            f.writelines(f"| {name} | {count:.1f} |\n" for name, count in after.items())
        print(RECORD)
        return 0
    grown = [n for n, c in after.items() if n in before and c > before[n] * (1 + TOLERATED_PERCENT / 100)]
    for name in grown:
        print(f"grown: {name}: {before[name]:.1f} -> {after[name]:.1f}", file=sys.stderr)
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
