"""Histories: clients read and forget counters through the cache while one writer counts them up; then what each saw is
checked against what was committed when.

    python3 tests/integration/history.py --database postgres --operations 100000

Each row of the table `counter` is behind three keys: `fed:1` and `slow:1`, whose changes the database tells (slow: its query
takes some milliseconds after it has looked at the row, time enough for events to come between), and `aged:1`, which
nobody tells of or forgets and which only its ttl and stale-ttl limit. All processes note times by the one monotonic clock.

What no rule promises: that a reader sees what another reader has seen already. A voided load may look at the row later
than the one that took its place, and answer its own waiters with the newer row. Only where loads are never voided does
nobody go back in time.
"""
import argparse
import bisect
import multiprocessing
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import namedtuple

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from database import fields    # noqa: E402
from mariadb import MariaDB    # noqa: E402
from postgres import Postgres  # noqa: E402
from tarn import Tarn, until   # noqa: E402

ROWS = 6
TTL_MS, STALE_MS, LOAD_TIMEOUT_MS = 60, 40, 2000
WRITES_PER_SYNC = 40
CLIENT_SECONDS = 600  # a client that takes longer has lost its server

# A reply, by its times on the monotonic clock; value None: a DEL.
Op = namedtuple("Op", "key start end value")
# The row became n between the two times.
Commit = namedtuple("Commit", "row n before after")
# Every notice of what was committed before `commits` has been applied at `end`.
Sync = namedtuple("Sync", "commits end")

MAPS = """
map fed shop "fed:{{id:int}}" "SELECT n FROM counter WHERE id = $id" ttl 1h
map slow shop "slow:{{id:int}}" "{slow}" ttl 1h
map aged shop "aged:{{id:int}}" "SELECT n FROM counter WHERE id = $id" ttl {ttl}ms refresh-ahead 0 stale-ttl {stale}ms stale-error-ttl 0
map mark shop "mark:{{id:int}}" "SELECT 1 + $id" ttl 1h
"""


class OnPostgres:
    name = "postgres"

    def __init__(self):
        self.server = Postgres()
        self.server.execute("CREATE TABLE counter (id int PRIMARY KEY, n bigint)")
        self.server.execute(f"INSERT INTO counter SELECT i, 0 FROM generate_series(1, {ROWS}) i")
        self.server.execute("""CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_notify('cache_inval', 'fed:' || NEW.id || E'\\nslow:' || NEW.id); RETURN NULL; END $$""")
        self.server.execute("CREATE TRIGGER tell AFTER UPDATE ON counter FOR EACH ROW EXECUTE FUNCTION tell()")
        self.source = f'source shop postgres "{self.server.dsn}" invalidate notify cache_inval'
        self.slow = "SELECT n FROM counter, pg_sleep(0.003) WHERE id = $id"

    def connect(self):
        self.db = self.server.connect()
        self.cursor = self.db.cursor()

    def write(self, row, n):
        self.cursor.execute("UPDATE counter SET n = %s WHERE id = %s", (n, row))

    def tell(self, key):
        self.cursor.execute("SELECT pg_notify('cache_inval', %s)", (key,))

    def stop(self):
        self.server.stop()


class OnSqlite:
    name = "sqlite"

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tarn-history-")
        self.path = os.path.join(self.dir, "shop.db")
        self.connect()
        self.db.executescript("""PRAGMA journal_mode = WAL; CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER);
            CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);
            CREATE TRIGGER tell AFTER UPDATE ON counter BEGIN
              INSERT INTO changes (key) VALUES ('fed:' || new.id), ('slow:' || new.id); END""")
        self.db.executemany("INSERT INTO counter VALUES (?, 0)", [(i + 1,) for i in range(ROWS)])
        self.db.close()
        self.source = f"source shop sqlite {self.path} invalidate changelog changes"
        # The row first, then the work: what comes between is not seen any more.
        self.slow = ("WITH RECURSIVE r AS MATERIALIZED (SELECT n FROM counter WHERE id = $id), w(x) AS (SELECT n FROM r "
                     "UNION ALL SELECT x + 1 FROM w WHERE x < (SELECT n FROM r) + 3000) SELECT min(x) FROM w")

    def connect(self):
        self.db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        self.db.execute("PRAGMA synchronous = OFF")

    def write(self, row, n):
        self.db.execute("UPDATE counter SET n = ? WHERE id = ?", (n, row))

    def tell(self, key):
        self.db.execute("INSERT INTO changes (key) VALUES (?)", (key,))

    def stop(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class OnMariaDB:
    """Beside the writer a second session takes numbers of the changelog and commits them late."""
    name = "mariadb"
    LATE = 7  # writes that overtake each of its commits

    def __init__(self):
        self.server = MariaDB()
        for sql in ("CREATE TABLE counter (id int PRIMARY KEY, n bigint)",
                    "CREATE TABLE changes (seq bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `key` mediumtext)",
                    "CREATE TRIGGER tell AFTER UPDATE ON counter FOR EACH ROW INSERT INTO changes (`key`) "
                    "VALUES (CONCAT('fed:', NEW.id, CHAR(10), 'slow:', NEW.id))"):
            self.server.execute(sql)
        for i in range(ROWS):
            self.server.execute(f"INSERT INTO counter VALUES ({i + 1}, 0)")
        # One server: what is in the log can be read, so once is enough.
        self.source = f'source shop mysql "{self.server.dsn}" invalidate changelog changes settle-ms 0'
        self.slow = "SELECT n FROM counter WHERE id = $id AND SLEEP(0.003) = 0"

    def connect(self):
        self.cursor = self.server.connect().cursor()
        self.other = self.server.connect()
        self.other.autocommit(False)
        self.writes = 0

    def write(self, row, n):
        if self.writes % self.LATE == 0:
            self.other.commit()
            self.other.cursor().execute("INSERT INTO changes (`key`) VALUES ('nobody:1')")
        self.writes += 1
        self.cursor.execute("UPDATE counter SET n = %s WHERE id = %s", (n, row))

    def tell(self, key):
        self.cursor.execute("INSERT INTO changes (`key`) VALUES (%s)", (key,))

    def stop(self):
        self.server.stop()


DATABASES = {database.name: database for database in (OnPostgres, OnSqlite, OnMariaDB)}


def is_aged(key):
    return key.startswith("aged")


# ---- the processes ----

def read(tarn, operations, seed, results):
    """A client: mostly reads, at times of many keys in one pipeline, and some DELs."""
    rng = random.Random(seed)
    keys = [f"{name}:{row + 1}" for name in ("fed", "fed", "slow", "aged") for row in range(ROWS)]
    ops = []
    with tarn.connect(timeout=60) as c:
        while len(ops) < operations:
            wanted = [rng.choice(keys) for _ in range(rng.choice((1, 1, 1, 8)))]
            words = [("DEL" if rng.random() < 0.1 and not is_aged(key) else "GET", key) for key in wanted]
            start = time.monotonic()
            c.send(b"".join(f"{word} {key}\r\n".encode() for word, key in words))
            for word, key in words:
                reply = c.reply()
                ops.append(Op(key, start, time.monotonic(), None if word == "DEL" else int(reply)))
    results.put(ops)


def write(tarn, database, seed, done, results):
    rng = random.Random(seed)
    database.connect()
    count = [0] * ROWS
    commits, syncs = [], []
    with tarn.connect(timeout=60) as c:
        while not done.is_set():
            row = rng.randrange(ROWS)
            count[row] += 1
            before = time.monotonic()
            database.write(row + 1, count[row])
            commits.append(Commit(row + 1, count[row], before, time.monotonic()))
            if len(commits) % WRITES_PER_SYNC == 0:
                c.cmd("GET", "mark:1")
                database.tell("mark:1")
                until(lambda: c.cmd("SOURCE", "GET", "mark:1", "CACHEONLY") is None, "the notice", 60)
                syncs.append(Sync(len(commits), time.monotonic()))
            time.sleep(rng.random() * 0.004)  # the pace of the writes; nothing is waited for
    results.put((commits, syncs))


def run(work, results, *arguments):
    """The body of a process: what goes wrong is its result."""
    try:
        work(*arguments, results)
    except Exception as problem:
        results.put(problem)
        raise


def result_of(results):
    result = results.get(timeout=CLIENT_SECONDS)
    if isinstance(result, Exception):
        raise AssertionError("a process of the history failed") from result
    return result


def record(database, operations, clients=4, seed=1):
    """Runs them all; returns (ops, commits, syncs)."""
    config = (f"{database.source} pool 4 load-timeout {LOAD_TIMEOUT_MS}ms\n" +
              MAPS.format(slow=database.slow, ttl=TTL_MS, stale=STALE_MS))
    fork = multiprocessing.get_context("fork")
    readings, writings, done = fork.Queue(), fork.Queue(), fork.Event()
    with Tarn(config=config) as tarn:
        with tarn.connect() as c:
            until(lambda: fields(c.cmd("SOURCE", "INFO", "shop"))["feed"] == b"up", "the feed to be up")
        writer = fork.Process(target=run, args=(write, writings, tarn, database, seed, done))
        readers = [fork.Process(target=run, args=(read, readings, tarn, operations // clients, seed + 1 + i))
                   for i in range(clients)]
        for process in [writer, *readers]:
            process.start()
        try:
            ops = [op for _ in readers for op in result_of(readings)]
            done.set()
            commits, syncs = result_of(writings)
        finally:
            done.set()
            for process in [writer, *readers]:
                process.join(10)
                process.kill()
    return ops, commits, syncs


# ---- the rules ----

def floors(key, key_ops, commits, syncs):
    """(time, value, why): whoever asks after the time gets at least the value."""
    afters = [c.after for c in commits]
    for op in key_ops:
        if op.value is None:  # what was committed before the DEL came
            yield op.end, bisect.bisect_right(afters, op.start), "a DEL (rules 8, 9 and 16)"
        elif is_aged(key):
            yield op.end, op.value, "a reply (rule 1)"
    if not is_aged(key):
        for sync in syncs:
            yield sync.end, bisect.bisect_right(afters, sync.commits), "a notice (rule 17)"


def check_key(key, key_ops, commits, syncs):
    """Problems of one key, and the greatest age of a value beyond its replacement, in seconds."""
    problems, oldest = [], 0
    befores = [c.before for c in commits]
    steps = sorted(floors(key, key_ops, commits, syncs), key=lambda step: step[0])
    reads = sorted((op for op in key_ops if op.value is not None), key=lambda op: op.start)
    floor, why, at = 0, "", 0
    for op in reads:
        while at < len(steps) and steps[at][0] < op.start:
            if steps[at][1] > floor:
                floor, why = steps[at][1:]
            at += 1
        if op.value < floor:
            problems.append(f"{key}: {op.value} at {op.start:.6f}, after {why} of {floor}")
        if op.value > bisect.bisect_right(befores, op.end):
            problems.append(f"{key}: {op.value} at {op.end:.6f}, before it was written")
        if op.value < len(commits):  # the next one replaced it
            oldest = max(oldest, op.end - commits[op.value].after)
    limit = (TTL_MS + STALE_MS + LOAD_TIMEOUT_MS) / 1000
    if is_aged(key) and oldest > limit:
        problems.append(f"{key}: a value {oldest:.3f} s after its replacement (rule 12)")
    return problems, oldest


def check(ops, commits, syncs):
    """Returns (problems, {name of a map: greatest age beyond replacement})."""
    by_key, by_row = {}, {}
    for op in ops:
        by_key.setdefault(op.key, []).append(op)
    for c in commits:
        by_row.setdefault(c.row, []).append(c)
    sync_times = [Sync(commits[s.commits - 1].after, s.end) for s in syncs]
    problems, ages = [], {}
    for key, key_ops in sorted(by_key.items()):
        name, _, row = key.partition(":")
        found, oldest = check_key(key, key_ops, by_row.get(int(row), []), sync_times)
        problems += found
        ages[name] = max(ages.get(name, 0), oldest)
    return problems, ages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=sorted(DATABASES), default="sqlite")
    parser.add_argument("--operations", type=int, default=100000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    database = DATABASES[args.database]()
    try:
        start = time.monotonic()
        ops, commits, syncs = record(database, args.operations, args.clients, args.seed)
        took = time.monotonic() - start
    finally:
        database.stop()
    problems, ages = check(ops, commits, syncs)
    reads = sum(op.value is not None for op in ops)
    print(f"{args.database}, seed {args.seed}: {len(ops)} operations by {args.clients} clients ({reads} reads, {len(ops) - reads} DEL), "
          f"{len(commits)} commits, {len(syncs)} waits for notices, {took:.1f} s")
    print("oldest reply after the next commit: " + ", ".join(f"{name} {age * 1000:.1f} ms" for name, age in sorted(ages.items())))
    for problem in problems[:20]:
        print(problem)
    print(f"{len(problems)} replies against the rules")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
