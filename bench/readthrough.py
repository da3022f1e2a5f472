#!/usr/bin/python3
"""The same application twice, over the same PostgreSQL: once Tarn reads through, once redis-server with cache-aside code
in the client. On the way the cache restarts, a dear row expires again and again, and the database stops for a while.

    bench/readthrough.py build-bench [--seconds 60] [--rows 1000000] [--clients 32] [--out bench/results/readthrough]

Writes OUT.md (the table) and OUT.svg (queries over time), and prints the table. The application is
build-bench/bench/readthrough; the queries are counted by PostgreSQL itself.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "tests", "support"))

import svg  # noqa: E402
from postgres import Postgres  # noqa: E402
from tarn import Redis, Tarn, free_port, stop_on_signal, until  # noqa: E402

RESTART_AT, STOP_AT, STOP_FOR = 0.25, 0.6, 10  # parts of the run; seconds
ITEM_TTL, REPORT_TTL = 30, 5
TABLES = """
DROP TABLE IF EXISTS item;
CREATE TABLE item (id bigint PRIMARY KEY, version bigint NOT NULL, body text NOT NULL);
INSERT INTO item SELECT n, 1, repeat(md5(n::text), 3) FROM generate_series(0, {rows} - 1) n;
VACUUM ANALYZE item;
"""
# What `SOURCE DDL` prints for such a map, shortened to UPDATE.
TRIGGER = """
CREATE FUNCTION item_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('cache_inval', 'item:' || OLD.id); RETURN NULL; END $$;
CREATE TRIGGER item_changed AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION item_changed();
"""
CONFIG = """
source shop postgres "{dsn}"
source-set shop invalidate notify cache_inval
map item shop "item:{{id:int}}" "SELECT version || ':' || body FROM item WHERE id = $id" as string ttl {item_ttl}
map report shop "report:{{name:enum(top)}}" "SELECT '0:' || sum(length(body)) FROM item WHERE id < 100000 AND $name <> ''" ttl {report_ttl}
"""


class Cache:
    """One of the two caches, on a port that stays the same when it restarts."""

    def __init__(self, mode, database):
        self.mode = mode
        self.port = free_port()
        self.config = CONFIG.format(dsn=database.dsn, item_ttl=ITEM_TTL, report_ttl=REPORT_TTL)
        self.server = self.start()

    def start(self):
        return Tarn(config=self.config, port=self.port) if self.mode == "tarn" else Redis(port=self.port)

    def restart(self):
        self.server.kill()
        self.server = self.start()

    def loads(self):
        """Queries so far by Tarn's own count, or None while it is away."""
        try:
            with self.server.connect(2) as c:
                text = c.cmd("INFO", "sources").decode()
        except OSError:
            return None
        fields = [f for line in text.splitlines() if line.startswith("map_") for f in line.split(":", 1)[1].split(",")]
        return sum(int(f.split("=")[1]) for f in fields if f.startswith("loads="))


def queries(database):
    """Statements that read or wrote the table, as PostgreSQL counts them."""
    row = database.execute("SELECT coalesce(idx_scan, 0) + coalesce(seq_scan, 0) FROM pg_stat_user_tables "
                           "WHERE relname = 'item'")
    return row[0][0]


def sample(cache, counts, is_over):
    """Once a second: what Tarn loaded since the last time."""
    before = cache.loads() or 0
    while not is_over.wait(1):
        now = cache.loads()
        counts.append(max(0, (now or 0) - before) if now is not None and now >= before else now or 0)
        before = before if now is None else now


def disturb(cache, database, seconds, say):
    began = time.monotonic()

    def wait(part):
        time.sleep(max(0, began + part * seconds - time.monotonic()))
    wait(RESTART_AT)
    say("the cache restarts")
    cache.restart()
    wait(STOP_AT)
    say("the database stops")
    database.process.send_signal(signal.SIGINT)  # fast shutdown: sessions end, statistics are kept
    until(lambda: database.process.poll() is not None, "the database to stop", 60)
    time.sleep(max(0, began + STOP_AT * seconds + STOP_FOR - time.monotonic()))
    say("the database is back")
    database.start()


def run(mode, program, args, say):
    with Postgres(shared_buffers="256MB") as database:
        say(f"{mode}: {args.rows} rows")
        for statement in TABLES.format(rows=args.rows).strip().split(";\n"):
            database.execute(statement.rstrip(";"))
        if mode == "tarn":
            database.execute(TRIGGER)
        cache = Cache(mode, database)
        counts, is_over = [], threading.Event()
        try:
            until(lambda: queries(database) >= 0, "the statistics")
            before = queries(database)
            application = subprocess.Popen(
                [program, "--mode", mode, "--port", str(cache.port), "--database", database.dsn + " connect_timeout=2",
                 "--rows", str(args.rows), "--clients", str(args.clients), "--seconds", str(args.seconds),
                 "--ttl", str(ITEM_TTL), "--report-ttl", str(REPORT_TTL)], stdout=subprocess.PIPE, text=True)
            sampler = threading.Thread(target=sample, args=(cache, counts, is_over))
            if mode == "tarn":
                sampler.start()
            try:
                disturb(cache, database, args.seconds, say)
                out = application.communicate(timeout=args.seconds + 60)[0]
            finally:
                application.kill()
                is_over.set()
                if mode == "tarn":
                    sampler.join()
            result = json.loads(out)
            time.sleep(1.5)  # PostgreSQL's sessions report their counts once a second at most
            result["reached"] = queries(database) - before - result["writes"]
            if mode == "tarn":
                for second, loads in zip(result["seconds"], counts):
                    second["queries"] = loads
            return result
        finally:
            cache.server.kill()


def row(name, cells):
    return "| " + " | ".join([name, *cells]) + " |"


def table(results, args):
    def each(fn):
        return [fn(r) for r in results.values()]

    def down(r):
        first = int(args.seconds * STOP_AT)
        return sum(s["errors"] for s in r["seconds"][first:first + STOP_FOR + 1])
    yield row("", results)
    yield "|---" * (len(results) + 1) + "|"
    yield row("reads answered", each(lambda r: f"{r['reads_us']['count']:,}"))
    yield row("queries that reached the database", each(lambda r: f"{r['reached']:,}"))
    yield row("busiest second: queries", each(lambda r: f"{max(s['queries'] for s in r['seconds']):,}"))
    for q, text in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "slowest")):
        yield row(f"read, {text}, us", each(lambda r: f"{r['reads_us'][q]:,}"))
    yield row("reads that missed a commit", each(lambda r: f"{r['stale_us']['count']:,}"))
    yield row("of these, the oldest had missed it for, ms", each(lambda r: f"{r['stale_us']['max'] / 1e3:,.1f}"))
    yield row(f"failed reads around the {STOP_FOR} s without a database", each(lambda r: f"{down(r):,}"))
    yield row("failed reads in all", each(lambda r: f"{r['errors']:,}"))
    yield row("writes", each(lambda r: f"{r['writes']:,}"))


NAMES = {"tarn": "Tarn reads through", "aside": "redis-server, cache-aside"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--clients", type=int, default=32)
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
    results = {NAMES[mode]: run(mode, program, args, say) for mode in NAMES}
    lines = list(table(results, args))
    print("\n".join(lines))
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    with open(args.out + ".md", "w", encoding="utf-8") as f:
        f.write(f"# Reading through, beside cache-aside\n\n{args.clients} clients, Zipf 0.99 over {args.rows:,} rows, 1 % "
                f"writes, {args.seconds} s.\n\n" + "\n".join(lines) + f"\n\n![queries]({os.path.basename(args.out)}.svg)\n")
    series = [(name, [(i, max(1, s["queries"])) for i, s in enumerate(r["seconds"])]) for name, r in results.items()]
    svg.write(args.out + ".svg", svg.lines("Queries per second that reached the database", series, x="seconds",
                                           y="queries", log_y=True))


if __name__ == "__main__":
    main()
