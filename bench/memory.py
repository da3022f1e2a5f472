#!/usr/bin/python3
"""Bytes per key beyond key and value: tarn in process at every number of keys, and beside redis-server and memcached.

BUILD is the folder with bench/memory and bench/fill. Prints three markdown tables, or those that are asked for: the worst
and the mean over all numbers of keys from a million to --max in steps of 1 %, in process (sweep); some numbers of keys for
the three servers in the same run, by the growth of their resident memory (beside); and a million small hashes in tarn and in
redis-server, by what the server counts and by what it holds (hashes). Numbers of keys are cut so that the data stays below
a quarter of the free memory.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))

import tarn  # noqa: E402
from resp import encode  # noqa: E402

KEY_BYTES = 16
SHAPES = [(8, 0), (32, 0), (100, 0), (100, 86400), (300, 0), (1000, 0), (1000, 86400)]
STEPS = 6
KEYS_FIRST = 1000000
OVERHEAD_GUESS = 100

HASHES = 1000000
HASH_FIELDS = 10
HASH_SHAPES = [(6, 20), (20, 20), (6, 6)]  # bytes of a field's name and of its value
HASHES_AT_ONCE = 500


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"MemAvailable:\s+(\d+)", f.read()).group(1)) * 1024


def keys_max_for(value, wanted):
    return max(KEYS_FIRST, min(wanted, memory_available() // 4 // (KEY_BYTES + value + OVERHEAD_GUESS)))


class Memcached(tarn.Server):
    """memcached with more memory than it will need."""

    def __init__(self):
        self.dir = tarn.tempfile.mkdtemp(prefix="tarn-memcached-")
        port = tarn.free_port()
        if shutil.which("memcached") is None:
            raise AssertionError("memcached is not installed")
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        super().__init__([shutil.which("memcached"), "-l", "127.0.0.1", "-p", str(port), "-m", "65536", "-t", "1", *user],
                         port, wait=False)
        deadline = time.monotonic() + tarn.START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def sweep(build, keys_max, shapes):
    print("| value bytes | TTL | worst | mean | at keys | worst, resident | mean, resident |")
    print("|---:|---|---:|---:|---:|---:|---:|", flush=True)
    for value, ttl in shapes:
        subprocess.run([os.path.join(build, "bench", "memory"), "--max", str(keys_max_for(value, keys_max)), "--value",
                        str(value), "--ttl", str(ttl)], check=True)


def grow(build, server, value, ttl, steps):
    """Bytes per key beyond key and value at each number of keys."""
    empty = server.rss()
    have = 0
    found = []
    for keys in steps:
        command = [os.path.join(build, "bench", "fill"), "--from", str(have), "--keys", str(keys - have), "--value",
                   str(value), "--ttl", str(ttl), f"127.0.0.1:{server.port}"]
        subprocess.run(command + (["--memcached"] if isinstance(server, Memcached) else []), check=True,
                       stdout=subprocess.DEVNULL)
        have = keys
        found.append((server.rss() - empty) / keys - KEY_BYTES - value)
    return found


def steps_to(top):
    """Even steps on the scale of powers, and just above each power of two, where other tables double."""
    return sorted({int(KEYS_FIRST * (top / KEYS_FIRST) ** (i / (STEPS - 1))) for i in range(STEPS)} |
                  {(1 << n) + (1 << n) // 50 for n in range(20, 25) if (1 << n) * 1.02 <= top})


def beside(build, keys_max, shapes, keys):
    print("\n| value bytes | TTL | keys | tarn | redis-server | memcached |")
    print("|---:|---|---:|---:|---:|---:|", flush=True)
    for value, ttl in shapes:
        top = keys_max_for(value, max(keys or [keys_max]))
        steps = sorted({min(k, top) for k in keys}) if keys else steps_to(top)
        found = []
        for start in (tarn.Tarn, tarn.Redis, Memcached):
            server = start()
            try:
                found.append(grow(build, server, value, ttl, steps))
            finally:
                server.kill()
        for i, count in enumerate(steps):
            print(f"| {value} | {'yes' if ttl else 'no'} | {count} | " + " | ".join(f"{f[i]:.1f}" for f in found) + " |",
                  flush=True)


def used_memory(server):
    with server.connect() as c:
        return int(re.search(rb"used_memory:(\d+)", c.cmd("INFO", "memory")).group(1))


def fill_hashes(server, name_bytes, value_bytes):
    """Hashes of different values, sent in pipelines."""
    names = [b"f%0*d" % (name_bytes - 1, i) for i in range(HASH_FIELDS)]
    with server.connect(timeout=60) as c:
        for first in range(0, HASHES, HASHES_AT_ONCE):
            numbers = range(first, first + HASHES_AT_ONCE)
            c.send(b"".join(encode(b"HSET", b"hash:%0*d" % (KEY_BYTES - 5, n),
                                   *(word for i, name in enumerate(names)
                                     for word in (name, (b"v%d:" % i + b"%x" % (n * 2654435761)).ljust(value_bytes, b".")
                                                  [:value_bytes]))) for n in numbers))
            for _ in numbers:
                assert c.reply() == HASH_FIELDS


def hashes():
    print(f"\n| {HASH_FIELDS} fields: name, value | bytes in them with the key | tarn, counted | resident | "
          "redis-server, counted | resident |")
    print("|---:|---:|---:|---:|---:|---:|", flush=True)
    for name_bytes, value_bytes in HASH_SHAPES:
        cells = []
        for start in (tarn.Tarn, tarn.Redis):
            server = start()
            try:
                used, rss = used_memory(server), server.rss()
                fill_hashes(server, name_bytes, value_bytes)
                cells += [(used_memory(server) - used) / HASHES, (server.rss() - rss) / HASHES]
            finally:
                server.kill()
        print(f"| {name_bytes}, {value_bytes} | {KEY_BYTES + HASH_FIELDS * (name_bytes + value_bytes)} | " +
              " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


def shape(text):
    """100 or 100:86400, the second number being a time to live."""
    value, _, ttl = text.partition(":")
    return int(value), int(ttl or 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tarn")
    parser.add_argument("build")
    parser.add_argument("--max", type=int, default=20000000, help="most keys")
    parser.add_argument("--keys", type=lambda x: [int(n) for n in x.split(",")], default=[],
                        help="numbers of keys beside the other servers, instead of a dozen up to --max")
    parser.add_argument("--shapes", type=lambda x: [shape(n) for n in x.split(",")], default=SHAPES,
                        help="bytes of value, with :SECONDS for a time to live (%(default)s)")
    parser.add_argument("--only", choices=("sweep", "beside", "hashes"), help="this table")
    options = parser.parse_args()
    os.environ["TARN_BIN"] = options.tarn
    if options.only in (None, "sweep"):
        sweep(options.build, options.max, options.shapes)
    if options.only in (None, "beside"):
        beside(options.build, options.max, options.shapes, options.keys)
    if options.only in (None, "hashes"):
        hashes()


if __name__ == "__main__":
    main()
