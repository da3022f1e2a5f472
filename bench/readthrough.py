#!/usr/bin/python3
"""The same application twice, over the same PostgreSQL: once Tarn reads through, once redis-server with cache-aside code
in the client. On the way the cache restarts, a dear row expires again and again, and the database stops for a while.

    bench/readthrough.py build-bench [--seconds 60] [--rows 1000000] [--clients 32] [--rate 10000] [--out bench/results/readthrough]

Writes OUT.md (the table) and OUT.svg (queries over time), and prints the table. The application is
build-bench/bench/readthrough; it makes the same requests at the same rate both times. The queries are counted by
PostgreSQL itself (pg_stat_statements).
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "tests", "support"))

import svg  # noqa: E402
from postgres import Postgres  # noqa: E402
from tarn import Redis, Tarn, free_port, stop_on_signal, until  # noqa: E402

RESTART_AT, STOP_AT, STOP_FOR = 0.25, 0.6, 10  # parts of the run; seconds
ITEM_TTL, REPORT_TTL = 10, 5
TABLES = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE item (id bigint PRIMARY KEY, version bigint NOT NULL, body text NOT NULL);
INSERT INTO item SELECT n, 1, repeat(md5(n::text), 3) FROM generate_series(0, {rows} - 1) n;
VACUUM ANALYZE item;
"""
CONFIG = """
source shop postgres "{dsn} application_name=cache"
source-set shop invalidate notify cache_inval
map item shop "item:{{id:int}}" "SELECT version || ':' || body FROM item WHERE id = $id" as string table item {item}
map-set item bulk id bulk-query "SELECT id, version || ':' || body FROM item WHERE id = ANY($id[])"
map report shop "report:{{name:enum(top)}}" "SELECT '0:' || sum(length(body)) FROM item WHERE id < 100000 AND $name <> ''" ttl {report_ttl}
"""
# What is compared: a name, how the application is written, and options of the map where Tarn reads.
# Rows that cost so little are not reloaded ahead, and live as long as after SET ... EX: the same number of loads is fair.
VARIANTS = [
    ("Tarn reads through", "tarn", f"ttl {ITEM_TTL} jitter 0% refresh-ahead 0%"),
    ("Tarn, the feed trusted", "tarn", "ttl 10m"),
    ("redis-server, cache-aside", "aside", ""),
]
HEAD = """# Reading through, beside cache-aside

{clients} clients, {rate:,} operations per second for {seconds} s: 98 % read one of {rows:,} rows (Zipf 0.99), 1 % update one, 1 % read a
report that takes PostgreSQL tens of milliseconds. Second {restart}: the cache is killed and starts empty. Second {stop}: the database stops
for {stop_for} s. The lives are the same in the first and the last column (rows {item_ttl} s, report {report_ttl} s). In the middle the rows have `{trusted}`,
because notices say what changed.

{lines}

![queries]({plot}.svg)
"""
# Statements that read the table; what the planner and the clients ask beside is not the cache's.
LOADS = "query LIKE 'SELECT%FROM item WHERE%'"


class Cache:
    """One of the two caches, on a port that stays the same when it restarts."""

    def __init__(self, mode, item, database):
        self.mode = mode
        self.port = free_port()
        self.config = CONFIG.format(dsn=database.dsn, item=item, report_ttl=REPORT_TTL)
        self.server = self.start()
        if mode == "tarn":
            with self.server.connect() as c:
                database.execute(c.cmd("SOURCE", "DDL", "item").decode())

    def start(self):
        return Tarn(config=self.config, port=self.port) if self.mode == "tarn" else Redis(port=self.port)

    def restart(self):
        self.server.kill()
        self.server = self.start()


def sample(database, counts, is_over):
    """Once a second: how many queries there were so far. Nothing while the database is away."""
    began = time.monotonic()
    while not is_over.wait(max(0, began + len(counts) - time.monotonic())):
        try:
            counts.append(database.execute(f"SELECT sum(calls)::int FROM pg_stat_statements WHERE {LOADS}")[0][0] or 0)
        except psycopg2.Error:
            counts.append(counts[-1])


def disturb(cache, database, application, seconds, say):
    began = time.monotonic()

    def wait(part, more=0):
        time.sleep(max(0, began + part * seconds + more - time.monotonic()))

    def tell(letter):
        application.stdin.write(letter)
        application.stdin.flush()
    wait(RESTART_AT)
    say("the cache restarts")
    cache.restart()
    wait(STOP_AT)
    say("the database stops")
    tell("d")
    database.process.send_signal(signal.SIGINT)  # fast shutdown: sessions end, statistics are kept
    database.process.wait(60)
    wait(STOP_AT, STOP_FOR)
    database.start()
    tell("u")
    say("the database is back")


def count_queries(cache, database):
    """What PostgreSQL counted, when all that was asked of it is over."""
    cache.server.kill()
    until(lambda: not database.sessions(), "the last session to end")
    calls, rows, reports, ms = database.execute(
        "SELECT sum(calls)::int, sum(rows)::int, coalesce(sum(calls) FILTER (WHERE query LIKE '%sum(%'), 0)::int, "
        f"sum(total_exec_time)::float FROM pg_stat_statements WHERE {LOADS}")[0]
    return {"queries": calls, "rows": rows, "reports": reports, "database_s": ms / 1000}


def run(variant, program, args, say):
    name, mode, item = variant
    with Postgres(shared_buffers="256MB", shared_preload_libraries="pg_stat_statements") as database:
        say(f"{name}: {args.rows} rows")
        for statement in TABLES.format(rows=args.rows).strip().split(";\n"):
            database.execute(statement.rstrip(";"))
        cache = Cache(mode, item, database)
        counts, is_over = [0], threading.Event()
        sampler = threading.Thread(target=sample, args=(database, counts, is_over))
        try:
            with subprocess.Popen(
                    [program, "--mode", mode, "--port", str(cache.port), "--database", database.dsn + " connect_timeout=2",
                     "--rows", str(args.rows), "--clients", str(args.clients), "--seconds", str(args.seconds),
                     "--rate", str(args.rate), "--ttl", str(ITEM_TTL), "--report-ttl", str(REPORT_TTL)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as application:
                sampler.start()
                try:
                    disturb(cache, database, application, args.seconds, say)
                    out = application.communicate(timeout=args.seconds + 60)[0]
                finally:
                    application.kill()
                    is_over.set()
                    sampler.join()
            per_second = [b - a for a, b in zip(counts, counts[1:])]
            return {**json.loads(out), **count_queries(cache, database), "per_second": per_second}
        finally:
            cache.server.kill()


def row(name, cells):
    return "| " + " | ".join([name, *cells]) + " |"


def table(results):
    def each(name, fn):
        return row(name, [fn(r) for r in results.values()])

    def number(name, key):
        return each(name, lambda r: f"{r[key]:,}")

    def quantiles(name, key):
        return each(name, lambda r: " / ".join(f"{r[key][q]:,}" for q in ("p50", "p99", "p999", "max")))

    def oldest(name, key):
        return each(name, lambda r: f"{r[key]['count']:,}" + (f" ({r[key]['max'] / 1e3:,.0f} ms)" if r[key]["count"] else ""))
    yield row("", results)
    yield "|---" * (len(results) + 1) + "|"
    yield each("reads answered", lambda r: f"{r['reads_us']['count']:,}")
    yield number("queries that reached the database", "queries")
    yield each("queries for 1000 reads", lambda r: f"{r['queries'] * 1000 / r['reads_us']['count']:,.1f}")
    yield each("busiest second: queries", lambda r: f"{max(r['per_second']):,}")
    yield number("rows they read", "rows")
    yield number("of the queries, the dear report", "reports")
    yield each("time the database spent on them, s", lambda r: f"{r['database_s']:,.1f}")
    yield quantiles("read, p50 / p99 / p99.9 / slowest, us", "reads_us")
    yield quantiles("from commit until the cache has heard of it, the same, us", "window_us")
    yield oldest("stale reads although the cache had heard (oldest)", "stale_told_us")
    yield oldest("stale reads before it had heard", "stale_untold_us")
    yield oldest("stale reads while the database was down", "stale_outage_us")
    yield number("failed reads of keys that had been loaded before", "errors_cached")
    yield number("failed reads of other keys while the database was down", "errors_uncached")
    yield number("failed reads while it was up", "errors_up")
    yield each("the last of these after it was back, ms", lambda r: f"{r['last_error_us'] / 1e3:,.0f}")
    yield number("writes", "writes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rate", type=int, default=10000, help="operations per second of all clients together")
    parser.add_argument("--out", default=os.path.join(HERE, "results", "readthrough"))
    args = parser.parse_args()
    if args.seconds * (1 - STOP_AT) < STOP_FOR + 5:
        parser.error(f"--seconds: at least {int((STOP_FOR + 5) / (1 - STOP_AT)) + 1}")
    stop_on_signal()
    os.environ.setdefault("TARN_BIN", os.path.join(args.build, "src", "tarn"))
    program = os.path.join(args.build, "bench", "readthrough")
    began = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)
    results = {variant[0]: run(variant, program, args, say) for variant in VARIANTS}
    lines = list(table(results))
    print("\n".join(lines))
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    with open(args.out + ".md", "w", encoding="utf-8") as f:
        f.write(HEAD.format(lines="\n".join(lines), restart=int(RESTART_AT * args.seconds), stop=int(STOP_AT * args.seconds),
                            stop_for=STOP_FOR, plot=os.path.basename(args.out), report_ttl=REPORT_TTL, item_ttl=ITEM_TTL,
                            trusted=VARIANTS[1][2], **vars(args)))
    series = [(name, list(enumerate(r["per_second"], 1))) for name, r in results.items()]
    svg.write(args.out + ".svg", svg.lines("Queries per second that reached the database", series, x="seconds",
                                           y="queries"))


if __name__ == "__main__":
    main()
