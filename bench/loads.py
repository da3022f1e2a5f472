#!/usr/bin/python3
"""What a load costs: GETs of missing keys, beside a bare loop over libpq that asks for the same rows.

    bench/loads.py build-bench [--rows 100000]

Prints a table: loads per second, and microseconds of CPU per load in who asks (Tarn's process, or the bare loop's) and in
PostgreSQL's sessions.
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "tests", "support"))

from postgres import Postgres  # noqa: E402
from resp import encode  # noqa: E402
from tarn import Tarn, stop_on_signal, until  # noqa: E402

TABLE = """
CREATE TABLE item (id bigint PRIMARY KEY, version bigint NOT NULL, body text NOT NULL);
INSERT INTO item SELECT n, 1, repeat(md5(n::text), 3) FROM generate_series(0, {rows} - 1) n;
VACUUM ANALYZE item;
"""
CONFIG = """
source shop postgres "{dsn}"
source-set shop pool {pool}
map item shop "item:{{id:int}}" "SELECT version || ':' || body FROM item WHERE id = $id" as string ttl 10m {bulk}
"""
BULK = """bulk id bulk-query "SELECT id, version || ':' || body FROM item WHERE id = ANY($id[])" """
TICKS = os.sysconf("SC_CLK_TCK")


def sessions_cpu(database):
    """CPU seconds of all sessions there ever were, once the last one has ended."""
    until(lambda: not database.sessions(), "the last session to end")
    with open(f"/proc/{database.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def run_bare(program, database, rows, depth):
    out = subprocess.run([program, database.dsn, str(rows), str(depth)], capture_output=True, text=True, check=True).stdout
    return [float(word) for word in out.split()]


def run_tarn(database, rows, pool, depth, bulk=""):
    """`depth` GETs are sent, their answers awaited, and so on."""
    requests = [[f"item:{i}" for i in range(first, min(first + depth, rows))] for first in range(0, rows, depth)]
    requests = [(b"".join(encode("GET", key) for key in keys), len(keys)) for keys in requests]
    with Tarn(config=CONFIG.format(dsn=database.dsn, pool=pool, bulk=bulk)) as tarn, tarn.connect() as c:
        cpu, began = tarn.cpu_seconds(), time.monotonic()
        for request, count in requests:
            c.send(request)
            for _ in range(count):
                if not isinstance(c.reply(), bytes):
                    raise AssertionError("a key was not loaded")
        return time.monotonic() - began, tarn.cpu_seconds() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rows", type=int, default=100000)
    args = parser.parse_args()
    stop_on_signal()
    os.environ.setdefault("TARN_BIN", os.path.join(args.build, "src", "tarn"))
    bare = os.path.join(args.build, "bench", "bare")
    with Postgres(shared_buffers="128MB") as database:
        for statement in TABLE.format(rows=args.rows).strip().split(";\n"):
            database.execute(statement.rstrip(";"))
        runs = [("libpq, one at a time", lambda: run_bare(bare, database, args.rows, 1)),
                ("libpq, 16 in a pipeline", lambda: run_bare(bare, database, args.rows, 16)),
                ("Tarn, one GET at a time", lambda: run_tarn(database, args.rows, 1, 1)),
                ("Tarn, 16 GETs in a pipeline, 1 connection", lambda: run_tarn(database, args.rows, 1, 16)),
                ("Tarn, 100 GETs in a pipeline, 1 connection", lambda: run_tarn(database, args.rows, 1, 100)),
                ("Tarn, 100 GETs in a pipeline, 8 connections", lambda: run_tarn(database, args.rows, 8, 100)),
                ("the same with a bulk query", lambda: run_tarn(database, args.rows, 8, 100, BULK))]
        print("| | loads/s | CPU per load, us | PostgreSQL's, us |\n|---|---|---|---|")
        for name, measure in runs:
            before = sessions_cpu(database)
            seconds, cpu = measure()
            theirs = sessions_cpu(database) - before
            print(f"| {name} | {args.rows / seconds:,.0f} | {cpu / args.rows * 1e6:.1f} | {theirs / args.rows * 1e6:.1f} |",
                  flush=True)


if __name__ == "__main__":
    main()
