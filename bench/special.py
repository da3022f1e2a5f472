"""What is more than a load: memory, limits, idle connections, start, expiry, tail latency.

Each function measures all servers and returns a Section for the report.
"""
import csv
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from typing import NamedTuple

from run import median
from servers import Client
from workloads import MIB, MILLION

KEY_BYTES = 16


class Section(NamedTuple):
    name: str
    title: str
    text: str
    header: list  # the first column names the row, then one column per server
    rows: list


def section(context, name, title, text, rows):
    return Section(name, title, text, [""] + [p.name for p in context.programs], rows)


def memory(context):
    """Bytes per key beyond key and value, from RSS."""
    counts = [MILLION] if context.is_quick else [MILLION, 1500000, 2 * MILLION, 3 * MILLION, 5 * MILLION]
    cases = [(100, 0)] if context.is_quick else [(v, ttl) for ttl in (0, 3600) for v in (8, 32, 100, 1000)]
    rows = []
    for value, ttl in cases:
        row = [f"{value} B{' with TTL' if ttl else ''}"]
        for program in context.programs:
            overheads = []
            for count in counts:
                with context.start(program) as server:
                    empty = server.rss()
                    context.fill(server, count, value, *(["--ttl", f"{ttl}s"] if ttl else []))
                    context.settle(server)
                    overheads.append((server.rss() - empty) / count - KEY_BYTES - value)
            row.append("–".join(f"{o:.0f}" for o in sorted({min(overheads), max(overheads)})))
        rows.append(row)
        context.say(f"memory: {row}")
    return section(context, "memory", "Memory: bytes per key beyond key and value",
                   f"Growth of RSS by N keys of {KEY_BYTES} bytes, without the bytes of keys and values; lowest and "
                   f"highest over N = {', '.join(str(c / MILLION) for c in counts)} million.", rows)


def limit(context):
    """RSS and entries after far more was written than fits into maxmemory."""
    rows = []
    keys = 2 * MILLION if context.is_quick else 10 * MILLION
    for value in (100,) if context.is_quick else (100, 1000):
        rss, most, entries = ([f"{what}, {value} B values"]
                              for what in ("RSS, MiB", "highest RSS, MiB", "entries held"))
        for program in context.programs:
            with context.start(program, 100 * MIB) as server:
                context.fill(server, keys, value)
                context.settle(server)
                rss.append(f"{server.rss() / MIB:.0f}")
                most.append(f"{server.rss_max() / MIB:.0f}")
                entries.append(str(server.entries()))
        rows += [rss, most, entries]
        context.say(f"limit: {rss} {entries}")
    return section(context, "limit", "A limit of 100 MiB", f"{keys} distinct SETs into maxmemory 100mb.", rows)


def idle(context):
    """What 10 000 connections cost that do nothing."""
    count = 2000 if context.is_quick else 10000
    stages = ["after connecting", "after a PING", "after a SET and GET of 16 KiB", "10 s later"]
    rows = [[s + ", bytes each"] for s in stages] + [["CPU while idle, ms per second"]]
    for program in context.programs:
        with context.start(program) as server, ExitStack() as stack:
            with Client(server) as c:
                c.set(b"large", b"x" * 16384)
                c.get(b"large")
            base = server.rss()
            clients = [stack.enter_context(Client(server)) for _ in range(count)]
            after = []
            for action in (Client.ping, Client.ping, lambda c: (c.set(b"large", b"x" * 16384), c.get(b"large"))):
                # Connecting is only over when the server has accepted: the last one's PING shows it.
                for c in clients[-1:] if not after else clients:
                    action(c)
                after.append(server.rss())
            cpu = server.cpu_seconds()
            time.sleep(10)
            after.append(server.rss())
            for row, rss in zip(rows, after):
                row.append(f"{(rss - base) / count:.0f}")
            rows[-1].append(f"{(server.cpu_seconds() - cpu) / 10 * 1000:.1f}")
        context.say(f"idle: {program.name} {[row[-1] for row in rows]}")
    return section(context, "idle", f"{count} idle connections",
                   "Memory of the process; the kernel's share of a connection is not in it.", rows)


def startup(context):
    """Time to the first PONG, and the memory of an empty server."""
    seconds, rss = ["start to first PONG, ms"], ["empty RSS, MiB"]
    for program in context.programs:
        starts, sizes = [], []
        for _ in range(5 if context.is_quick else 20):
            with context.start(program) as server:
                starts.append(server.start_seconds * 1000)
                sizes.append(server.rss() / MIB)
        seconds.append(f"{median(starts):.1f}")
        rss.append(f"{median(sizes):.1f}")
    context.say(f"startup: {seconds}")
    return section(context, "startup", "Start", "Median; includes starting the process.", [seconds, rss])


def expiry(context):
    """How late the memory of expired keys comes back, and what that costs."""
    keys, ttl = (200000 if context.is_quick else MILLION), 5
    late, half, cpu, full, rest = (["all gone, s after the last TTL"], ["half gone, s after the last TTL"],
                                   ["CPU, µs per key"], ["RSS full, MiB"], ["RSS 2 s after, MiB"])
    for program in context.programs:
        with context.start(program) as server:
            context.fill(server, keys, 100, "--ttl", f"{ttl}s")
            filled = time.monotonic()
            full.append(f"{server.rss() / MIB:.0f}")
            before = server.cpu_seconds()
            half_at = None
            while (left := server.entries()) > 0 and time.monotonic() - filled < 120:
                if half_at is None and left <= keys / 2:
                    half_at = time.monotonic()
                time.sleep(0.02)
            gone = time.monotonic()
            late.append(f"{gone - filled - ttl:.2f}" if left == 0 else f"{left} left after 120 s")
            half.append(f"{(half_at or gone) - filled - ttl:.2f}")
            cpu.append(f"{(server.cpu_seconds() - before) / keys * 1e6:.2f}")
            time.sleep(2)
            rest.append(f"{server.rss() / MIB:.0f}")
        context.say(f"expiry: {program.name} {late[-1]} s late")
    return section(context, "expiry", f"Expiry of {keys} untouched keys, TTL {ttl} s",
                   "Counted by DBSIZE (memcached: curr_items); below zero: before the last key's time had come. "
                   "memcached counts whole seconds.", [half, late, cpu, full, rest])


def tail(context):
    """Latency at 70 % of the slowest server's peak, open loop, with upkeep going on."""
    connections = ["--connections", 50]
    seconds = 4 if context.is_quick else 30
    mixed = ["--reads", 50, "--keys", MILLION, *connections]
    peaks = []
    for program in context.programs:
        with context.start(program) as server:
            context.fill(server, MILLION, 100)
            context.settle(server)
            run = context.load(server, *mixed, "--seconds", context.seconds, "--warmup", context.warmup)
            peaks.append(run["throughput"])
    rate = int(0.7 * min(peaks))
    context.say(f"tail: {rate} requests per second")
    growing = ["--keys", 10 * MILLION, "--key-order", "sequential", "--reads", 20, "--ttl", "10s"]
    cases = [("growth and expiry", 0, growing),
             ("eviction", 64 * MIB, ["--keys", 100 * MILLION, "--reads", 20])]
    figures = ("p50_us", "p99_us", "p99.9_us", "p99.99_us", "max_us")
    rows = []
    for title, maxmemory, arguments in cases:
        table = [[f"{title}: {figure[:-3]}, µs"] for figure in figures]
        results = {p.name: [] for p in context.programs}
        for repeat in range(context.repeats):
            for program in context.programs:
                with context.start(program, maxmemory) as server:
                    results[program.name].append(
                        context.load(server, *arguments, *connections, "--rate", rate, "--seconds", seconds,
                                     "--warmup", 1, "--seed", repeat + 1))
        for program in context.programs:
            for row, figure in zip(table, figures):
                row.append(f"{median([r[figure] for r in results[program.name]]):.0f}")
        rows += table
        context.say(f"tail, {title}: p99.9 {table[2]}")
    return section(context, "tail", f"Latency at {rate} requests per second",
                   "70 % of the slowest server's peak, open loop (latency counts from the moment a request was due), "
                   "80 % SETs: of new keys with a TTL of 10 s, and of new keys into a limit of 64 MiB.", rows)


POLICIES = {"tarn": ("allkeys-adaptive", "allkeys-lru"), "redis": ("allkeys-lru", "allkeys-lfu"),
            "valkey": ("allkeys-lru", "allkeys-lfu"), "memcached": ()}
TRACES = ("zipf", "scan", "shift")


def replay(context):
    """Hit ratios of traces at equal maxmemory."""
    limit_bytes = (4 if context.is_quick else 16) * MIB
    size = ["--requests", 250000, "--keys", 50000] if context.is_quick else []
    rows = []
    for place in range(2):
        for trace in TRACES:
            row = [trace + (", other policy" if place else "")]
            for program in context.programs:
                policies = POLICIES[program.kind]
                if not policies:
                    row.append("–")
                    continue
                with context.start(program) as server, tempfile.TemporaryDirectory() as folder:
                    path = os.path.join(folder, "replay.csv")
                    subprocess.run([context.replay_path, "--quiet", "--server", f"127.0.0.1:{server.port}",
                                    "--policies", policies[place], "--memory", str(limit_bytes), "--csv", path,
                                    *map(str, size), trace], check=True)
                    with open(path, encoding="utf-8") as f:
                        result = next(csv.DictReader(f))
                    row.append(f"{100 * (1 - float(result['miss_ratio'])):.2f} % {policies[place][8:]}")
            rows.append(row)
            context.say(f"replay: {row}")
    return section(context, "replay", f"Hit ratios at maxmemory {limit_bytes // MIB}mb",
                   "Made-up traces (a Zipf distribution; with scans over keys that never come again; whose popular "
                   "keys change), replayed over the protocol; a miss is followed by a SET. memcached does not speak it.",
                   rows)


SPECIALS = {"memory": memory, "limit": limit, "idle": idle, "startup": startup, "expiry": expiry, "tail": tail,
            "replay": replay}
QUICK = ("memory", "startup", "replay")
