#!/usr/bin/python3
"""Do other clients notice when every database hangs?

    bench/hung.py build-bench [--rounds 9] [--seconds 1] [--rate 5000]

Two servers in turn, the same requests: ordinary keys of one that has no sources, and of one with four, an SQLite file, a
PostgreSQL, a MariaDB and a Redis; and cached rows of the second. Meanwhile 80 clients ask both for keys that are not cached, which the
second has to load. First all databases answer, then they hang: the processes are stopped (SIGSTOP; the SQLite file is
locked), or every packet they send is dropped (their ports are in a network namespace whose way back ends in a blackhole
route; without root a proxy swallows them). The table has p99 in microseconds, medians of the rounds, and their ratio to that
without sources; latency counts from the time a request was due. As root, server and load run before whatever else wants
their cores; the rate has to leave them idle most of the time, or the kernel takes that back. Exits with 1 when a ratio of
a hang is above LIMIT.
"""
import argparse
import contextlib
import ctypes
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tests", "support")]

from origins import MariaDBOrigin, PostgresOrigin, SqliteOrigin  # noqa: E402
from proxy import Proxy  # noqa: E402
from redis_origin import RedisOrigin  # noqa: E402
from resp import Error  # noqa: E402
from tarn import Tarn, stop_on_signal, until  # noqa: E402

LIMIT = 1.5
KEYS = 20000
ASKING = 80           # clients that ask for what is not cached
ASK_EVERY = 0.1       # seconds between two questions of one of them
NAMESPACE = f"tarn-hung-{os.getpid()}"
NEAR, FAR = "10.213.77.1", "10.213.77.2"
CLONE_NEWNET = 0x40000000
SERVER_CORE, LOAD_CORE = 0, 1
# The keys of the load generator, as rows of PostgreSQL.
ROW_MAP = 'map row postgres "key:{k:slug}" "SELECT v FROM payload WHERE k = $k" ttl 1h refresh-ahead 0\n'


def hurry(core):
    """On one core and, as root, before whatever else runs on the machine."""
    os.sched_setaffinity(0, {core})
    if os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Namespace:
    """A pair of interfaces, the far one in a network namespace of its own."""

    def __enter__(self):
        run("ip", "netns", "add", NAMESPACE)
        try:
            run("ip", "link", "add", "hung0", "type", "veth", "peer", "name", "hung1", "netns", NAMESPACE)
            run("ip", "addr", "add", f"{NEAR}/30", "dev", "hung0")
            run("ip", "link", "set", "hung0", "up")
            run("ip", "-n", NAMESPACE, "addr", "add", f"{FAR}/30", "dev", "hung1")
            run("ip", "-n", NAMESPACE, "link", "set", "hung1", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        run("ip", "netns", "del", NAMESPACE)  # and with it the interfaces

    def listen(self, port):
        """A listening socket whose network is the namespace's."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/task/%d/ns/net" % threading.get_native_id(), "rb") as home, \
                open(f"/var/run/netns/{NAMESPACE}", "rb") as away:
            if libc.setns(away.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return socket.create_server((FAR, port))
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def drop(self):
        run("ip", "-n", NAMESPACE, "route", "add", "blackhole", f"{NEAR}/32")

    def pass_on(self):
        run("ip", "-n", NAMESPACE, "route", "del", "blackhole", f"{NEAR}/32")


class FarProxy(Proxy):
    """A proxy that listens in the namespace."""

    def __init__(self, target, namespace):
        self.namespace = namespace
        super().__init__(target)

    def accept(self):
        with self.lock:
            self.listener = self.namespace.listen(self.port)
        self._poke()


class Databases:
    """All four, and the ways in which they hang."""

    def __init__(self, stack):
        self.namespace = stack.enter_context(Namespace()) if os.geteuid() == 0 else None
        self.origins = []
        for kind in (SqliteOrigin, PostgresOrigin, MariaDBOrigin, RedisOrigin):
            self.origins.append(kind())
            stack.callback(self.origins[-1].stop)
        self.behind_network = [o for o in self.origins if o.has_network]
        self.proxies = {}
        for origin in self.behind_network:
            proxy = FarProxy(origin.address, self.namespace) if self.namespace else Proxy(origin.address)
            stack.callback(proxy.stop)
            self.proxies[origin] = proxy

    def config(self):
        lines = []
        for o in self.origins:
            dsn = o.dsn
            if o.has_network:
                dsn = o.dsn_through(self.proxies[o].port)
                dsn = dsn.replace("127.0.0.1", FAR) if self.namespace else dsn
            lines += [f'source {o.name} {o.driver} "{dsn}" connect-timeout 1s',
                      f'map miss_{o.name} {o.name} "{o.name}:{{id:int}}" "{o.query["name"]}" load-timeout 1s error-hold 0']
        return "\n".join(lines) + "\n"

    def are_up(self, servers):
        for server in servers:
            with server.connect() as c:
                if any(isinstance(c.cmd("GET", f"{o.name}:1"), Error) for o in self.origins):
                    return False
        return True

    @contextlib.contextmanager
    def stopped(self):
        with contextlib.ExitStack() as thaws:
            for o in self.origins:
                thaws.callback(o.freeze() if o.has_network else o.hold_table())
            yield

    @contextlib.contextmanager
    def dropped(self):
        release = next(o for o in self.origins if not o.has_network).hold_table()
        if self.namespace:
            self.namespace.drop()
        else:
            for proxy in self.proxies.values():
                proxy.hold()
        try:
            yield
        finally:
            release()
            if self.namespace:
                self.namespace.pass_on()
            else:
                for proxy in self.proxies.values():
                    proxy.release()


class Asking:
    """Clients that ask for keys nobody has cached, each again and again at the same pace."""
    numbers = itertools.count(1000)

    def __init__(self, server):
        self.is_over = threading.Event()
        self.errors = self.answers = 0
        self.thread = threading.Thread(target=self.run, args=(server,))
        self.thread.start()

    def run(self, server):
        names = ("sqlite", "postgres", "mariadb", "redis")
        clients = [server.connect() for _ in range(ASKING)]
        for c in clients:
            c.sock.setblocking(False)
        waits = [False] * ASKING
        while not self.is_over.wait(ASK_EVERY):
            for i, c in enumerate(clients):
                waits[i] = waits[i] and not self.answered(c)
                if not waits[i]:
                    c.sock.send(b"GET %s:%d\r\n" % (names[i % len(names)].encode(), next(self.numbers)))
                    waits[i] = True
        for c in clients:
            c.close()

    def answered(self, c):
        try:
            reply = c.sock.recv(4096)
        except BlockingIOError:
            return False
        self.answers += 1
        self.errors += reply.startswith(b"-SOURCE")
        return True

    def end(self):
        self.is_over.set()
        self.thread.join()


class Servers:
    """`none`: ordinary keys, no sources. `plain`: the same beside four sources. `rows`: the same keys as cached rows."""

    def __init__(self, args, databases, stack):
        self.args = args
        self.load_program = os.path.join(args.build, "bench", "load", "tarn-load")
        self.none = stack.enter_context(self.serve(""))
        self.plain = stack.enter_context(self.serve(databases.config()))
        self.load(self.none, "--fill", "--requests", "1")
        self.load(self.plain, "--fill", "--requests", "1")
        self.copy_payload(databases)
        self.rows = stack.enter_context(self.serve(databases.config() + ROW_MAP))
        self.warm()

    @staticmethod
    def serve(config):
        return Tarn(config=config, preexec=lambda: hurry(SERVER_CORE))

    def load(self, server, *more):
        done = subprocess.run(
            [self.load_program, "--port", str(server.port), "--keys", str(KEYS), "--connections", "50",
             "--pid", str(server.pid), "--format", "json", *more], capture_output=True, text=True, check=False,
            preexec_fn=lambda: hurry(LOAD_CORE))
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        return json.loads(done.stdout)

    def copy_payload(self, databases):
        """What the load generator wrote and will check, as rows."""
        db = next(o for o in databases.origins if o.name == "postgres")
        db.execute("CREATE TABLE payload (k text PRIMARY KEY, v bytea)")
        link = db.server.connect()
        with self.none.connect() as c, link.cursor() as cursor:
            for names in blocks_of_keys():
                values = c.cmd("MGET", *(f"key:{name}" for name in names))
                cursor.execute("INSERT INTO payload SELECT * FROM unnest(%s, %s)", (names, values))
        link.close()

    def warm(self):
        with self.rows.connect(60) as c:
            for names in blocks_of_keys():
                values = c.cmd("MGET", *(f"key:{name}" for name in names))
                assert not isinstance(values, Error) and None not in values, values

    def p99(self, server):
        asking = Asking(server)
        try:
            result = self.load(server, "--rate", str(self.args.rate), "--seconds", str(self.args.seconds), "--warmup", "0.5")
        finally:
            asking.end()
        assert result["misses"] == 0, "a key is gone"
        return result["p99_us"], asking


def blocks_of_keys():
    for first in range(0, KEYS, 500):
        yield [f"{n:012d}" for n in range(first, first + 500)]


@contextlib.contextmanager
def answering():
    yield


def measure(args, servers, databases):
    dropped = "packets dropped" if databases.namespace else "packets swallowed"
    print(f"p99 in us at {args.rate} requests/s, medians of {args.rounds} rounds of {args.seconds:g} s; {ASKING} clients ask for "
          f"what is not cached; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    print("| databases | no sources | ordinary keys | ratio | cached rows | ratio | loads answered, of these errors |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    is_fine = True
    for name, state in (("answer", answering), ("stopped", databases.stopped), (dropped, databases.dropped)):
        rounds, asked = [], []
        with state():
            for _ in range(args.rounds):
                runs = [servers.p99(server) for server in (servers.none, servers.plain, servers.rows)]
                rounds.append([p99 for p99, _ in runs])
                asked += [asking for _, asking in runs[1:]]
        none, plain, rows = (statistics.median(column) for column in zip(*rounds))
        plain_ratio, rows_ratio = plain / none, rows / none
        is_fine = is_fine and (state is answering or max(plain_ratio, rows_ratio) <= LIMIT)
        print(f"| {name} | {none:.0f} | {plain:.0f} | {plain_ratio:.2f} | {rows:.0f} | {rows_ratio:.2f} | "
              f"{sum(a.answers for a in asked)}, {sum(a.errors for a in asked)} |", flush=True)
        until(lambda: databases.are_up((servers.plain, servers.rows)), "the sources to recover", 60)
    return is_fine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="folder of a release build")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rate", type=int, default=5000)
    args = parser.parse_args()
    stop_on_signal()
    os.environ["TARN_BIN"] = os.path.abspath(os.path.join(args.build, "src", "tarn"))
    with contextlib.ExitStack() as stack:
        databases = Databases(stack)
        sys.exit(0 if measure(args, Servers(args, databases, stack), databases) else 1)


if __name__ == "__main__":
    main()
