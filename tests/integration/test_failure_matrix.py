"""The failure matrix: each way to fail, against each database, for a reader of a cold key, of one within its stale-ttl
and of one within its stale-error-ttl; and each event that may come while a load is in the air.

A row of FAULTS or EVENTS becomes a case of every database it can happen to. The mock has its matrix in tests/sim.
"""
import contextlib
import os
import shutil
import tempfile
import threading
import time
import unittest

from database import check_at_rest, fields
from driver_case import OriginCase
from origins import MariaDBOrigin, PostgresOrigin, SqliteOrigin
from proxy import Proxy
from redis_origin import RedisOrigin
from resp import Error, encode
from tarn import until

AT_ONCE = 0.4  # seconds: nothing was waited for; the rest is a busy machine
MAPS = {"cold": "load-timeout 300ms error-hold 0",
        "stale": "load-timeout 300ms ttl 100ms refresh-ahead 0 stale-ttl 1m stale-error-ttl 0",
        "old": "load-timeout 300ms ttl 100ms refresh-ahead 0 soft-timeout 50ms stale-error-ttl 1m",
        "held": "load-timeout 20s", "brief": "load-timeout 20s ttl 100ms", "local": "load-timeout 20s writes local"}


class MatrixCase(OriginCase):
    source_options = "pool 2 max-queue 2 connect-timeout 1s breaker-open 50ms..200ms"

    @classmethod
    def make_config(cls):
        dsn, options = cls.origin.dsn, cls.source_options
        if cls.origin.has_network:
            cls.proxy = Proxy(cls.origin.address)
            cls.addClassCleanup(cls.proxy.stop)
            dsn = cls.origin.dsn_through(cls.proxy.port)
        if cls.origin.has_accounts:
            cls.origin.add_user("reader", "right")
            cls.addClassCleanup(cls.origin.drop_user, "reader")
            dsn = cls.origin.dsn_for("reader", port=cls.proxy.port)
            folder = tempfile.mkdtemp(prefix="tarn-secret-")
            cls.addClassCleanup(shutil.rmtree, folder)
            cls.secret = os.path.join(folder, "secret")
            cls.write_secret("right")
            options += f" password-file {cls.secret}"
        lines = [f'map {name} shop "{name}:{{id:int}}" "{cls.origin.query["name"]}" {more}' for name, more in MAPS.items()]
        return "\n".join([f'source shop {cls.origin.driver} "{dsn}" {options}', *lines])

    @classmethod
    def write_secret(cls, password):
        with open(cls.secret, "w", encoding="utf-8") as f:
            f.write(password + "\n")
        os.chmod(cls.secret, 0o644)

    def setUp(self):
        super().setUp()
        self.recovers(key="cold:1")
        self.c.cmd("FLUSHALL")

    def tearDown(self):
        check_at_rest(self)

    # ---- ways to fail ----

    @contextlib.contextmanager
    def blocked(self):
        """Nothing that is asked is answered."""
        if self.origin.has_network:
            self.proxy.hold()
            release = self.proxy.release
        else:
            release = self.origin.hold_table()
        try:
            yield
        finally:
            release()

    @contextlib.contextmanager
    def stopped(self):
        self.origin.halt()
        try:
            yield
        finally:
            self.origin.start()

    @contextlib.contextmanager
    def refused(self):
        self.proxy.refuse()
        self.proxy.cut()
        try:
            yield
        finally:
            self.proxy.accept()

    @contextlib.contextmanager
    def frozen(self):
        thaw = self.origin.freeze()
        try:
            yield
        finally:
            thaw()

    @contextlib.contextmanager
    def locked(self):
        release = self.origin.hold_table()
        try:
            yield
        finally:
            release()

    @contextlib.contextmanager
    def dying(self):
        """Whatever was sent is lost with its connection."""
        done = threading.Event()

        def cut():
            while not done.wait(0.02):
                self.proxy.cut()
        thread = threading.Thread(target=cut)
        with self.blocked():
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()

    @contextlib.contextmanager
    def occupied(self):
        """All connections wait for the database, and the queue is full."""
        waiting = []
        with self.blocked():
            while fields(self.c.cmd("SOURCE", "INFO", "shop"))["queue"] < 2:
                self.assertLess(len(waiting), 200)
                waiting.append(self.connect())
                waiting[-1].send(encode("GET", f"held:{len(waiting)}"))
                self.turn()
            yield
        for c in waiting:
            self.assertNotIsInstance(c.reply(), Error)

    @contextlib.contextmanager
    def without_table(self):
        self.origin.break_statements()
        try:
            yield
        finally:
            self.origin.restore()
            if self.origin.has_accounts:
                self.origin.grant("reader")

    @contextlib.contextmanager
    def wrong_password(self):
        self.write_secret("wrong")
        self.proxy.cut()
        try:
            yield
        finally:
            self.write_secret("right")

    # ---- what a row says ----

    def timed(self, key):
        start = time.monotonic()
        reply = self.c.cmd("GET", key)
        return reply, time.monotonic() - start

    def check_fault(self, fault, words, seconds, state):
        """Rules 12, 24, 28 and 37."""
        self.age()
        self.assertEqual(self.c.cmd("GET", "held:1"), b"one")
        with fault(self):
            for _ in range(3):
                reply, took = self.timed("stale:1")
                self.assertEqual(reply, b"one")
                self.assertLess(took, AT_ONCE, "within stale-ttl nobody waits")
                reply, took = self.timed("old:1")
                self.assertEqual(reply, b"one")
                self.assertLess(took, 0.05 + AT_ONCE, "within stale-error-ttl nobody waits beyond soft-timeout")
            for i in range(2):
                self.error(f"cold:{i + 1}", *words, seconds=seconds)
            self.assertEqual(self.c.cmd("SOURCE", "GET", "cold:1", "CACHEONLY"), None, "an error is no missing row")
            if state is not None:
                until(lambda: self.state() == state, f"the state to be {state}", 5)
            self.assertEqual(self.c.cmd("GET", "held:1"), b"one", "what is cached and not old is served")
            self.plain_keys_work()
        self.recovers(key="cold:1")

    def check_event(self, key, event, is_kept, after):
        """Rules 8, 10, 38 and 43. The load is in the air when the event comes: its waiter is answered; what the store keeps is the row's word."""
        with self.tarn.connect() as c:
            with self.blocked():
                c.send(encode("GET", key))
                until(lambda: fields(self.c.cmd("SOURCE", "INFO", "shop"))["busy"] == 1, "the load to be sent")
                event(self, c, key)
            if after is not None:
                self.assertEqual(c.reply(), after)
        until(lambda: fields(self.c.cmd("SOURCE", "INFO", "shop"))["busy"] == 0, "the load to end")
        self.assertEqual(self.c.cmd("SOURCE", "GET", key, "CACHEONLY"), is_kept)


def said(*words):
    """The event is a command of another client."""
    def event(case, _, key):
        case.assertNotIsInstance(case.c.cmd(*(key if word == "KEY" else word for word in words)), Error)
    return event


def ttl_passes(_case, _c, _key):
    start = time.monotonic()
    until(lambda: time.monotonic() > start + 0.15, "the ttl to be over")


def client_leaves(case, c, _key):
    c.close()
    until(lambda: case.info("clients")["connected_clients"] == "1" or case.info("clients")["blocked_clients"] == "1",
          "the client to be gone, or known to be half closed")


def memory_is_short(case, _c, _key):
    less = str(int(case.info("memory")["used_memory"]) // 2)  # no slice of upkeep makes that enough
    case.addCleanup(case.c.cmd, "CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "allkeys-adaptive")
    case.assertEqual(case.c.cmd("CONFIG", "SET", "maxmemory", less, "maxmemory-policy", "noeviction"), "OK")


def anywhere(_origin):
    return True


def over_a_network(origin):
    return origin.has_network


def with_passwords(origin):
    return origin.has_accounts


# name, where it can happen, how, what a cold key's reader is told, within seconds, and the source's state then
FAULTS = [
    ("is_stopped", anywhere, MatrixCase.stopped, ("SOURCEDOWN",), 1.5, b"down"),
    ("refuses_connections", over_a_network, MatrixCase.refused, ("SOURCEDOWN",), 1.5, b"down"),
    ("is_black_holed", over_a_network, MatrixCase.blocked, ("SOURCETIMEOUT", "SOURCEDOWN"), 1.5, None),
    ("is_frozen", over_a_network, MatrixCase.frozen, ("SOURCETIMEOUT", "SOURCEDOWN"), 1.5, None),
    ("is_slow", anywhere, MatrixCase.locked, ("SOURCETIMEOUT", "SOURCEDOWN"), 1.5, None),
    ("dies_in_the_middle", over_a_network, MatrixCase.dying, ("SOURCEDOWN",), 1.5, None),
    ("has_no_connection_left", anywhere, MatrixCase.occupied, ("SOURCEBUSY",), AT_ONCE, b"up"),
    ("refuses_the_statement", anywhere, MatrixCase.without_table, ("SOURCEERR",), 1.5, b"up"),
    ("refuses_the_password", with_passwords, MatrixCase.wrong_password, ("SOURCEDOWN",), 1.5, b"auth"),
]
# name, key, event, what is cached afterwards, what the waiter is told (None: nobody is there)
EVENTS = [
    ("del", "held:1", said("DEL", "KEY"), None, b"one"),
    ("flushall", "held:1", said("FLUSHALL"), None, b"one"),
    ("expire", "held:1", said("EXPIRE", "KEY", "10"), None, b"one"),
    ("invalidation", "held:1", said("SOURCE", "INVALIDATE", "MAP", "held"), None, b"one"),
    ("set", "local:1", said("SET", "KEY", "mine"), b"mine", b"one"),
    ("ttl", "brief:1", ttl_passes, None, b"one"),
    ("leaving_client", "held:1", client_leaves, b"one", None),
    ("short_memory", "held:1", memory_is_short, None, b"one"),
]


def make_cases():
    cases = {}
    for origin in (SqliteOrigin, PostgresOrigin, MariaDBOrigin, RedisOrigin):
        methods = {"origin_type": origin}
        for name, where, *row in FAULTS:
            if where(origin):
                methods[f"test_it_{name}"] = lambda self, row=row: self.check_fault(*row)
        for name, key, event, is_kept, after in EVENTS:
            methods[f"test_{name}_during_the_load"] = (
                lambda self, row=(key, event, is_kept, after): self.check_event(*row))
        cases[f"Matrix_{origin.name}"] = type(f"Matrix_{origin.name}", (MatrixCase,), methods)
    return cases


CASES = make_cases()
globals().update(CASES)  # so that a case can be named to the runner


def load_tests(loader, tests, pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in CASES.values())
