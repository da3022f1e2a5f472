"""Three nodes behind twemproxy on one PostgreSQL, each with its own feed: a node that dies or hangs loses nothing, and
what it still holds when it comes back is not served."""
import random
import signal
import threading
import time
import unittest

from postgres import Postgres
from resp import Error
from tarn import Tarn, free_port, stop_on_signal, until
from twemproxy import Twemproxy

KEYS = 60
NODES = 3
READERS = 3
STALE_SECONDS = 10  # generous: a busy machine. A lost invalidation would show for the ttl, minutes
CONFIG = """
source shop postgres "{dsn}" invalidate notify cache_inval breaker-open 50ms..200ms
map item shop "item:{{id:int}}" "SELECT id || ':' || version FROM item WHERE id = $id" ttl 10m error-hold 20ms
"""
SCHEMA = [
    "CREATE TABLE item (id int PRIMARY KEY, version int NOT NULL)",
    f"INSERT INTO item SELECT i, 1 FROM generate_series(0, {KEYS - 1}) i",
    """CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN PERFORM pg_notify('cache_inval', 'item:' || OLD.id); RETURN NULL; END $$""",
    "CREATE TRIGGER tell AFTER UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION tell()",
]


class Reader(threading.Thread):
    """Reads all the time. Notes each answer that no correct cache could give; a node that is gone is no wrong answer."""

    def __init__(self, test, seed):
        super().__init__()
        self.test, self.random = test, random.Random(seed)
        self.is_over = threading.Event()
        self.wrong, self.answers, self.failures = [], 0, 0
        self.start()

    def run(self):
        connection = None
        while not self.is_over.is_set():
            key = self.random.randrange(KEYS)
            least = self.test.committed_before(key, time.monotonic() - STALE_SECONDS)
            try:
                connection = connection or self.test.proxy.connect()
                answer = connection.cmd("GET", f"item:{key}")
            except OSError:
                connection, answer = None, Error("gone")
            most = self.test.versions[key][-1][1] + 1  # one may have been committed and not noted yet
            if isinstance(answer, Error):
                self.failures += 1
                time.sleep(0.01)
                continue
            self.answers += 1
            name, _, version = answer.decode().partition(":")
            if name != str(key) or not least <= int(version) <= most:
                self.wrong.append((key, answer, least, most))


class ScaleOut(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = Postgres()
        cls.addClassCleanup(cls.db.stop)
        for statement in SCHEMA:
            cls.db.execute(statement)
        cls.writer = cls.db.connect()
        cls.addClassCleanup(cls.writer.close)

    def setUp(self):
        self.versions = {key: [(0.0, 1)] for key in range(KEYS)}  # (when its COMMIT had returned, version), in order
        with self.writer.cursor() as cursor:
            cursor.execute("UPDATE item SET version = 1")
        self.config = CONFIG.format(dsn=self.db.dsn)
        self.ports = [free_port() for _ in range(NODES)]
        self.nodes = [self.start(i) for i in range(NODES)]
        self.addCleanup(lambda: [node.stop() for node in self.nodes])
        self.proxy = Twemproxy(self.ports)
        self.addCleanup(self.proxy.stop)
        self.c = self.proxy.connect()
        self.addCleanup(self.c.close)
        for key in range(KEYS):
            self.until_current(key)
        self.readers = [Reader(self, seed) for seed in range(READERS)]
        self.addCleanup(self.end_readers)

    def start(self, i):
        node = Tarn(config=self.config, port=self.ports[i])
        with node.connect() as c:
            until(lambda: b"feed=up" in c.cmd("INFO", "sources"), "the feed to be up")
        return node

    def end_readers(self):
        for reader in self.readers:
            reader.is_over.set()
        for reader in self.readers:
            reader.join()

    def committed_before(self, key, moment):
        return max(version for at, version in list(self.versions[key]) if at <= moment or at == 0.0)

    def commit(self, key):
        with self.writer.cursor() as cursor:
            cursor.execute("UPDATE item SET version = version + 1 WHERE id = %s RETURNING version", (key,))
            version = cursor.fetchone()[0]
        self.versions[key].append((time.monotonic(), version))

    def ask(self, key):
        try:
            return self.c.cmd("GET", f"item:{key}")
        except OSError:
            self.c.close()
            self.c = self.proxy.connect()
            return None

    def until_current(self, key):
        wanted = f"{key}:{self.versions[key][-1][1]}".encode()
        until(lambda: self.ask(key) == wanted, f"item:{key} to be {wanted}", STALE_SECONDS)

    def commit_all(self):
        for key in range(KEYS):
            self.commit(key)
        for key in range(KEYS):
            self.until_current(key)

    def reads(self, i):
        with self.nodes[i].connect() as c:
            fields = c.cmd("INFO", "sources").decode().split("map_item:")[1].split(",")
        return sum(int(f.partition("=")[2]) for f in fields if f.startswith(("hits=", "misses=")))

    def until_reads(self, i):
        before = self.reads(i)
        until(lambda: self.reads(i) > before, f"node {i} to be asked")

    def check_answers(self):
        self.end_readers()
        self.assertEqual([w for reader in self.readers for w in reader.wrong], [])
        self.assertTrue(all(reader.answers > 0 for reader in self.readers))

    def test_every_node_hears_of_every_commit(self):
        for i in range(NODES):
            self.until_reads(i)
        self.commit_all()
        for i in range(NODES):
            with self.nodes[i].connect() as c:
                for key in range(KEYS):
                    wanted = f"{key}:{self.versions[key][-1][1]}".encode()
                    until(lambda: c.cmd("GET", f"item:{key}") == wanted, f"item:{key} on node {i}", STALE_SECONDS)
        self.check_answers()

    def test_a_node_is_killed_and_comes_back(self):
        self.commit_all()
        self.nodes[1].kill()
        self.commit_all()  # its keys have moved to the other two, and were filled there
        self.nodes[1] = self.start(1)
        self.until_reads(1)
        for key in range(KEYS):
            self.until_current(key)
        self.commit_all()
        self.check_answers()

    def test_a_node_hangs_and_goes_on_with_what_it_holds(self):
        self.commit_all()
        self.nodes[2].signal(signal.SIGSTOP)
        try:
            self.commit_all()
        finally:
            self.nodes[2].signal(signal.SIGCONT)
        self.until_reads(2)
        for key in range(KEYS):
            self.assertEqual(self.ask(key), f"{key}:{self.versions[key][-1][1]}".encode())
        self.commit_all()
        self.check_answers()


if __name__ == "__main__":
    stop_on_signal()
    unittest.main()
