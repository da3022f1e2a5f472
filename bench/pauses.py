#!/usr/bin/python3
"""The longest pauses of a server that holds many keys, phase by phase.

    pauses.py TARN BUILD [--keys N] [--phases NAME,...]

BUILD is the folder with bench/fill, bench/load/tarn-load and bench/libturns.so. N (20 million) small keys are inserted,
flushed, inserted again to expire all at one moment, and inserted below a memory limit of half of what they take; then the
limit is halved and the policy changed, and values of up to 64 KiB come, always under the load of 20 other connections.

Two things are measured. *Turns*: what the server does between two sleeps; the CPU time of its thread says how long it worked,
the wall time beside it holds also what the machine took away meanwhile. *Replies*: a connection of its own sends a PING
every millisecond; its time holds the server's turn, the waiting of both processes for a processor, and the kernel. Where a
turn's CPU time is short and the reply's long, the machine was busy with something else; the phase `idle`, in which the
server does nothing but answer the PINGs, shows how much of that there is. A virtual machine also has to get memory from its
host, which the guest sees as CPU time of whoever touches it first: for comparison, the last line says what that costs a
bare loop that touches fresh memory and does nothing else. Run as root, the server and the probe get a
higher priority. Exits with 1 when a turn took more CPU time than TURN_MAX_MS.
"""
import argparse
import mmap
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))

import tarn  # noqa: E402

TURN_MAX_MS = 2.0
MIB = 1 << 20
TOUCH_BYTES = 32 << 10
BUCKETS = 512
BUCKET_NS = 20000
TURNS = struct.Struct(f"{5 + BUCKETS}Q")
PROBE_SECONDS = 0.001
VALUE_BYTES = 20
PRIORITY = -15
POLICIES = ("allkeys-lru", "allkeys-lfu", "volatile-ttl", "allkeys-random", "noeviction", "allkeys-fifo", "allkeys-adaptive")


def hurry():
    if os.geteuid() == 0:
        os.nice(PRIORITY)


def touch_alone(size):
    """(steps, longest in ms CPU, steps above the limit) of touching `size` bytes of fresh memory."""
    longest, long, steps = 0, 0, size // TOUCH_BYTES
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as m:
        m.madvise(mmap.MADV_NOHUGEPAGE)
        before = time.thread_time_ns()
        for at in range(0, steps * TOUCH_BYTES, TOUCH_BYTES):
            for page in range(at, at + TOUCH_BYTES, mmap.PAGESIZE):
                m[page] = 1
            now = time.thread_time_ns()
            longest = max(longest, now - before)
            long += now - before > TURN_MAX_MS * 1e6
            before = now
    return steps, longest / 1e6, long


class Probe:
    """Sends PINGs from a process of its own; read() returns (longest, how many) since the last time."""

    def __init__(self, port):
        self.mine, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(port, theirs), daemon=True)
        self.process.start()

    @staticmethod
    def run(port, pipe):
        hurry()
        longest, count = 0.0, 0
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                started = time.perf_counter()
                s.sendall(b"PING\r\n")
                if not s.recv(64):
                    return
                longest = max(longest, time.perf_counter() - started)
                count += 1
                if pipe.poll(0):
                    pipe.recv()
                    pipe.send((longest, count))
                    longest, count = 0.0, 0
                time.sleep(PROBE_SECONDS)

    def read(self):
        self.mine.send(None)
        return self.mine.recv()


class Turns:
    """The figures of libturns.so."""

    def __init__(self, path):
        self.path = path

    def map(self):
        with open(self.path, "r+b") as f:
            return mmap.mmap(f.fileno(), TURNS.size)

    def reset(self):
        with self.map() as m:
            m[:] = bytes(TURNS.size)

    def read(self):
        with self.map() as m:
            count, cpu_max, cpu_max_wall, wall_max, wall_max_cpu, *buckets = TURNS.unpack(m[:])
        long = sum(buckets[int(TURN_MAX_MS * 1e6) // BUCKET_NS:])
        left = count // 1000
        at = BUCKETS - 1
        while at > 0 and left >= buckets[at]:
            left -= buckets[at]
            at -= 1
        return {"count": count, "p999": (at + 1) * BUCKET_NS / 1e6, "long": long, "cpu_max": cpu_max / 1e6,
                "cpu_max_wall": cpu_max_wall / 1e6, "wall_max": wall_max / 1e6, "wall_max_cpu": wall_max_cpu / 1e6}


class Run:
    def __init__(self, build, keys, server, turns):
        self.build, self.keys, self.server, self.turns = build, keys, server, turns
        self.c = server.connect(120)
        self.probe = Probe(server.port)
        self.worst_ms = 0.0

    def fill(self, *args):
        subprocess.run([os.path.join(self.build, "bench", "fill"), "--value", str(VALUE_BYTES), "--pipeline", "100",
                        *map(str, args), f"127.0.0.1:{self.server.port}"], check=True, stdout=subprocess.DEVNULL)

    def load(self, seconds, value, reads=50):
        """Twenty connections; ends by itself."""
        return subprocess.Popen([os.path.join(self.build, "bench", "load", "tarn-load"), "--port", str(self.server.port),
                                 "--connections", "20", "--pipeline", "16", "--reads", str(reads), "--keys",
                                 str(self.keys), "--value", value, "--seconds", str(seconds), "--format", "csv"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def phase(self, name, work):
        self.probe.read()
        self.turns.reset()
        started = time.monotonic()
        work()
        took = time.monotonic() - started
        longest, count = self.probe.read()
        t = self.turns.read()
        self.worst_ms = max(self.worst_ms, t["cpu_max"])
        print(f"| {name} | {took:.1f} | {t['count']} | {t['p999']:.2f} | {t['cpu_max']:.2f} | {t['cpu_max_wall']:.2f} | "
              f"{t['wall_max']:.2f} | {t['wall_max_cpu']:.2f} | {t['long']} | {longest * 1e3:.2f} | {count} |", flush=True)

    def config(self, name, value):
        assert self.c.cmd("CONFIG", "SET", name, value) == "OK"

    def used(self):
        return int(dict(x.split(":", 1) for x in self.c.cmd("INFO", "memory").decode().split("\r\n")
                        if ":" in x)["used_memory"])

    def under_load(self, seconds, act, value=str(VALUE_BYTES), reads=50):
        load = self.load(seconds, value, reads)
        time.sleep(0.5)
        act()
        load.wait()

    def until(self, condition):
        while not condition():
            time.sleep(0.05)

    # ---- the phases, in their order ----

    def idle(self):
        time.sleep(5)

    def insert(self):
        self.fill("--keys", self.keys)
        self.full = self.used()

    def flush(self):
        def act():
            assert self.c.cmd("FLUSHALL") == "OK"
        self.under_load(4, act)
        self.c.cmd("FLUSHALL")
        self.until(lambda: self.used() < 64 * MIB)

    def insert_to_expire(self):
        at = int(time.time()) + 5 + self.keys // 150000
        self.fill("--keys", self.keys, "--expire-at", at)
        self.late = time.time() - at
        self.expires_at = at

    def expire(self):
        time.sleep(max(0.0, self.expires_at - time.time() - 1))
        self.under_load(6, lambda: None)

    def evict(self):
        self.config("maxmemory", str(self.full // 2))
        self.fill("--keys", self.keys)

    def switch(self):
        def act():
            for policy in POLICIES:
                self.config("maxmemory-policy", policy)
                time.sleep(0.7)
        self.under_load(6, act)

    def halve(self):
        self.under_load(6, lambda: self.config("maxmemory", str(self.full // 4)))

    def sizes(self):
        self.under_load(6, lambda: None, "8-65536", 20)

    def halve_sizes(self):
        self.under_load(6, lambda: self.config("maxmemory", str(self.full // 8)), "8-65536", 20)

    def large(self):
        self.under_load(6, lambda: None, "60000-65536", 20)


PHASES = ("idle", "insert", "flush", "insert_to_expire", "expire", "evict", "switch", "halve", "sizes", "halve_sizes",
          "large")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tarn")
    parser.add_argument("build")
    parser.add_argument("--keys", type=int, default=20000000)
    parser.add_argument("--phases", default=",".join(PHASES))
    options = parser.parse_args()
    os.environ["TARN_BIN"] = options.tarn
    library = os.path.abspath(os.path.join(options.build, "bench", "libturns.so"))
    path = os.path.join(tarn.tempfile.gettempdir(), f"tarn-turns-{os.getpid()}")
    os.environ["LD_PRELOAD"], os.environ["TURNS_FILE"] = library, path
    try:
        with tarn.Tarn(preexec=hurry) as server:
            del os.environ["LD_PRELOAD"]
            run = Run(options.build, options.keys, server, Turns(path))
            print(f"{options.keys} keys of 16 bytes with {VALUE_BYTES} bytes; times in ms; load average "
                  f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
            print("| phase | s | turns | CPU p99.9 | **CPU max** | its wall | wall max | its CPU | "
                  f"turns of {TURN_MAX_MS:.0f} ms CPU | slowest reply | replies |")
            print("|---|" + "---:|" * 10, flush=True)
            for name in options.phases.split(","):
                run.phase(name, getattr(run, name))
            worst, size = run.worst_ms, getattr(run, "full", 1024 * MIB)
        steps, longest, long = touch_alone(size)
        print(f"\nA bare loop that touches fresh memory, {steps} times {TOUCH_BYTES >> 10} KiB: longest {longest:.2f} ms CPU, "
              f"{long} of {TURN_MAX_MS:.0f} ms")
    finally:
        os.unlink(path)
    sys.exit(0 if worst <= TURN_MAX_MS else 1)


if __name__ == "__main__":
    main()
