"""The redis driver: loads from a redis-server, or from another Tarn."""
import json
import os
import shutil
import signal
import tempfile
import time
import unittest

import redis

from case import TarnCase
from database import check_at_rest, fields
from resp import Error
from tarn import Redis, Tarn, free_port, run_tarn, until

MAPS = """
map user shop "user:{id:int}" "GET user:$id" error-hold 10ms jitter 0
map name shop "name:{id:int}" "HGET person:$id name" error-hold 10ms
map pair shop "pair:{id:int}" "HMGET person:$id name born" as json error-hold 10ms
map aged shop "aged:{id:int}" "HMGET person:$id name life" ttl-column life jitter 0 error-hold 10ms
map whole shop "whole:{id:int}" "HGETALL person:$id" as json error-hold 0
map page shop "page:{slug:str}" "GET 'page of ${slug}_$$'" error-hold 10ms
map doc shop "doc:{id:int}" "GET doc:$id" as raw error-hold 10ms
map large shop "large:{id:int}" "GET large:$id" max-row 1mb max-value 8kb error-hold 10ms
map quick shop "quick:{id:int}" "GET user:$id" load-timeout 150ms error-hold 10ms
map short shop "short:{id:int}" "GET user:$id" ttl 200ms jitter 0 stale-error-ttl 0
"""


class OriginCase(TarnCase):
    """self.redis is the origin, a connection to it self.o; self.tarn reads from it as `shop`."""
    source_options = "load-timeout 5s connect-timeout 1s pool 2"
    origin_args = ()
    dsn = "redis://127.0.0.1:{port}"

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis(*cls.origin_args)
        cls.addClassCleanup(lambda: cls.redis.kill())
        cls.config = f"source shop redis {cls.dsn.format(port=cls.redis.port)} {cls.source_options}\n{MAPS}"
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.o = redis.Redis(port=self.redis.port)
        self.addCleanup(self.o.close)
        self.assertTrue(self.o.flushall())
        self.assertEqual(self.c.cmd("SOURCE", "RESETSTAT"), "OK")

    def tearDown(self):
        check_at_rest(self)

    def state(self, c=None):
        return fields((c or self.c).cmd("SOURCE", "INFO", "shop"))["state"]

    def error(self, key, *words, c=None):
        reply = (c or self.c).cmd("GET", key)
        self.assertIsInstance(reply, Error, (key, reply))
        self.assertIn(reply.split()[0], words, reply)
        return reply

    def plain_keys_work(self):
        self.assertEqual(self.c.cmd("SET", "plain", "p"), "OK")
        self.assertEqual(self.c.cmd("GET", "plain"), b"p")

    def recovers(self, key, value):
        until(lambda: self.c.cmd("GET", key) == value, "loads to work again")
        until(lambda: self.state() == b"up", "the state to be up")


class Values(OriginCase):
    def test_strings(self):
        self.o.mset({"user:1": b"\x00\r\n\xff", "user:2": b"", "page of home_$": "<h1>", "page of a b'c\"_$": "x"})
        for key, value in (("user:1", b"\x00\r\n\xff"), ("user:2", b""), ("user:3", None), ("page:home", b"<h1>"),
                           ("page:a b'c\"", b"x"), ("page:\r\nDEL user:1\r\n", None)):
            for _ in range(2):
                self.assertEqual(self.c.cmd("GET", key), value, key)
        self.assertEqual(self.o.get("user:1"), b"\x00\r\n\xff")
        self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "user"))["loads"], 3)

    def test_hashes(self):
        self.o.hset("person:1", mapping={"name": "Ada", "born": "1815", "quote": '"\u00e9"'})
        self.o.hset("person:2", "name", "Bob")
        self.assertEqual(self.c.cmd("GET", "name:1"), b"Ada")
        self.assertIsNone(self.c.cmd("GET", "name:9"))
        self.assertEqual(self.c.cmd("GET", "pair:1"), b'{"name":"Ada","born":"1815"}')
        self.assertEqual(self.c.cmd("GET", "pair:2"), b'{"name":"Bob","born":null}')
        self.assertIsNone(self.c.cmd("GET", "pair:9"))
        self.assertEqual(json.loads(self.c.cmd("GET", "whole:1")), {"name": "Ada", "born": "1815", "quote": '"\u00e9"'})
        self.assertIsNone(self.c.cmd("GET", "whole:9"))

    def test_json_as_it_is(self):
        self.o.mset({"doc:1": '{"a": [1, 2]}', "doc:2": "no json"})
        self.assertEqual(self.c.cmd("GET", "doc:1"), b'{"a": [1, 2]}')
        self.error("doc:2", "SOURCEERR")

    def test_the_origins_life_is_carried_over(self):
        self.o.set("user:1", "v", px=60000)
        self.o.set("user:2", "v", px=100 * 3600 * 1000)
        self.o.set("user:3", "v")
        self.o.hset("person:1", mapping={"name": "Ada", "life": "40"})
        self.o.pexpire("person:1", 20000)
        self.o.hset("person:2", mapping={"name": "Bob", "life": "40"})
        for key, value in (("user:1", b"v"), ("user:2", b"v"), ("user:3", b"v"), ("aged:1", b"Ada"), ("aged:2", b"Bob")):
            self.assertEqual(self.c.cmd("GET", key), value)
        self.assertIn(self.c.cmd("PTTL", "user:1"), range(50000, 60001))
        self.assertIn(self.c.cmd("PTTL", "user:2"), range(250000, 300001), "the map's ttl is shorter")
        self.assertIn(self.c.cmd("PTTL", "user:3"), range(250000, 300001))
        self.assertIn(self.c.cmd("PTTL", "aged:1"), range(15000, 20001), "shorter than the column says")
        self.assertIn(self.c.cmd("PTTL", "aged:2"), range(35000, 40001))

    def test_a_key_that_expires_is_loaded_again(self):
        self.o.set("user:1", "old", px=150)
        self.assertEqual(self.c.cmd("GET", "user:1"), b"old")
        until(lambda: self.o.get("user:1") is None, "the origin's key to expire")
        self.o.set("user:1", "new")
        until(lambda: self.c.cmd("GET", "user:1") == b"new", "the new value", 2)

    def test_a_wrong_type_is_an_error_of_that_key(self):
        self.o.set("person:1", "no hash")
        self.o.set("user:1", "fine")
        for key in ("name:1", "pair:1", "whole:1"):
            self.error(key, "SOURCEERR")
        self.assertEqual(self.c.cmd("GET", "user:1"), b"fine")
        self.assertEqual(self.state(), b"up")

    def test_many_at_once(self):
        self.o.mset({f"user:{i}": i for i in range(0, 1000, 2)})
        keys = [f"user:{i}" for i in range(1000)]
        self.assertEqual(self.c.cmd("CLIENT", "NO-TOUCH", "ON"), "OK")
        links = [self.connect() for _ in range(20)]
        for link in links:
            link.send(b"".join(b"GET %s\r\n" % key.encode() for key in keys))
        for link in links:
            self.assertEqual(link.replies(1000), [None if i % 2 else b"%d" % i for i in range(1000)])
        stats = fields(self.c.cmd("SOURCE", "INFO", "user"))
        self.assertGreaterEqual(stats["loads"], 1000)
        self.assertEqual(stats["errors"], 0)

    def test_hashes_that_are_too_large(self):
        self.o.hset("person:1", mapping={f"field{i}": i for i in range(300)})
        self.o.hset("person:2", mapping={f"field{i}": i for i in range(40000)})
        self.error("whole:1", "SOURCEERR")
        for _ in range(3):
            self.error("whole:2", "SOURCEBIG")
        self.assertEqual(self.state(), b"up")

    def test_large_values(self):
        self.o.set("large:1", b"x" * 900000)
        self.o.set("large:2", b"x" * 20000000)
        self.o.mset({f"user:{i}": i for i in range(50)})
        self.assertEqual(self.c.cmd("GET", "large:1"), b"x" * 900000)
        self.c.send(b"GET large:2\r\n")
        with self.tarn.connect() as other:
            for i in range(50):
                self.assertEqual(other.cmd("GET", f"user:{i}"), b"%d" % i)
        self.assertEqual(self.c.reply().split()[0], "SOURCEBIG")
        self.o.set("large:3", b"x" * 1050000)  # within what is read, beyond the limit
        self.error("large:3", "SOURCEBIG")
        self.recovers("large:1", b"x" * 900000)


class Configuration(unittest.TestCase):
    def assert_refused(self, statement, problem, dsn="redis://127.0.0.1:1", options=""):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wrong.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(f'source shop redis {dsn}\nmap wrong shop "w:{{id:int}}" "{statement}" {options}\n')
            done = run_tarn(path, "--port", "0", timeout=20)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn(problem, done.stderr)

    def test_commands_that_write_or_are_unknown(self):
        for statement in ("SET w:$id 1", "DEL w:$id", "EVAL x 1 $id", "KEYS *$id", "$id", "HSET h f $id"):
            self.assert_refused(statement, "none of GET, HGET, HMGET, HGETALL")

    def test_mistakes(self):
        self.assert_refused("GET", "does not use the pattern's parameter 'id'")
        self.assert_refused("GET a $id", "wrong number of words")
        self.assert_refused("GET 'w:$id", "quote")
        self.assert_refused("GET w:$nosuch", "nosuch")
        self.assert_refused("GET w:$", "not in the pattern")

    def test_shapes(self):
        with Redis() as origin:
            dsn = f"redis://127.0.0.1:{origin.port}"
            self.assert_refused("HGETALL w:$id", "one column", dsn=dsn)
            self.assert_refused("HMGET w:$id a b", "one column", dsn=dsn)
            self.assert_refused("HMGET w:$id a b", "ttl-column", dsn=dsn, options="as json ttl-column c")

    def test_dsns(self):
        for dsn in ("127.0.0.1", "redis://", "redis://host:0", "redis://host:99999", "redis://host/x", "rediss://host",
                    "redis://secret@host", "redis://user:@host", "redis://u:p%zz@host", "unix://relative", "redis://[::1"):
            self.assert_refused("GET w:$id", "the dsn is", dsn=dsn)


class LogIn(OriginCase):
    origin_args = ("--requirepass", "pa@ss:w/rd")
    dsn = "redis://:pa%40ss%3Aw%2Frd@127.0.0.1:{port}/5"

    def setUp(self):
        TarnCase.setUp(self)
        self.o = redis.Redis(port=self.redis.port, password="pa@ss:w/rd", db=5)
        self.addCleanup(self.o.close)
        self.o.flushall()

    def test_password_and_database(self):
        self.o.set("user:1", "v")
        self.assertEqual(self.c.cmd("GET", "user:1"), b"v")

    def test_users(self):
        self.o.acl_setuser("reader", enabled=True, passwords=["+secret"], keys=["user:*"], commands=["+get", "+pttl", "+ping"])
        self.o.execute_command("SELECT", 0)
        redis.Redis(port=self.redis.port, password="pa@ss:w/rd").set("user:1", "v")
        with Tarn(config=f"source shop redis redis://reader:secret@127.0.0.1:{self.redis.port}\n{MAPS}") as tarn:
            with tarn.connect() as c:
                self.assertEqual(c.cmd("GET", "user:1"), b"v")
                self.error("name:1", "SOURCEERR", c=c)
                self.assertEqual(self.state(c), b"up")

    def test_wrong_password(self):
        for login in (":wrong@", "nobody:wrong@", ""):
            with Tarn(config=f"source shop redis redis://{login}127.0.0.1:{self.redis.port}\n{MAPS}") as tarn:
                with tarn.connect() as c:
                    self.error("user:1", "SOURCEDOWN", c=c)
                    self.assertEqual(self.state(c), b"auth")
                self.assertNotIn("wrong", tarn.log())


class Files(unittest.TestCase):
    """password-file, user-file, and the ages of connections."""

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis()
        cls.addClassCleanup(cls.redis.stop)
        cls.folder = tempfile.mkdtemp(prefix="tarn-redis-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.o = redis.Redis(port=cls.redis.port)
        cls.addClassCleanup(cls.o.close)
        cls.o.set("user:1", "v")
        for user in ("reader", "other"):
            cls.o.acl_setuser(user, enabled=True, passwords=[f"+{user}'s"], keys=["user:*"], commands=["+get", "+pttl", "+ping"])

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def serve(self, dsn, options):
        tarn = Tarn(config=f"source shop redis {dsn} pool 2 {options}\n{MAPS}")
        self.addCleanup(tarn.stop)
        c = tarn.connect()
        self.addCleanup(c.close)
        return tarn, c

    def users(self):
        """Of the connections from elsewhere."""
        return [client["user"] for client in self.o.client_list() if client["id"] != str(self.o.client_id())]

    def test_user_and_password_from_files(self):
        files = f"user-file {self.write('user', 'reader')} password-file {self.write('password', chr(39).join(('reader', 's')))}"
        for host in ("127.0.0.1", "localhost", "nobody:nothing@127.0.0.1"):
            with self.subTest(host=host):
                tarn, c = self.serve(f"redis://{host}:{self.redis.port}", files)
                self.assertEqual(c.cmd("GET", "user:1"), b"v")
                self.assertEqual(set(self.users()), {"reader"})
                self.assertNotIn("reader's", tarn.log())
                tarn.stop()

    def test_a_changed_password_is_read_at_the_next_connect(self):
        path = self.write("changing", "wrong\n")
        tarn, c = self.serve(f"redis://other:unused@127.0.0.1:{self.redis.port}", f"password-file {path}")
        self.assertEqual(c.cmd("GET", "user:1").split()[0], "SOURCEDOWN")
        self.assertEqual(fields(c.cmd("SOURCE", "INFO", "shop"))["state"], b"auth")
        self.write("changing", "other's\r\n")
        until(lambda: fields(c.cmd("SOURCE", "INFO", "shop"))["state"] == b"up", "the file to be read again", 20)
        until(lambda: c.cmd("GET", "user:1") == b"v", "a load")

    def test_a_file_that_is_not_there(self):
        path = os.path.join(self.folder, "nowhere")
        tarn, c = self.serve(f"redis://127.0.0.1:{self.redis.port}", f"password-file {path}")
        self.assertEqual(c.cmd("GET", "user:1").split()[0], "SOURCEDOWN")
        self.assertIn(path, tarn.log())

    def test_idle_timeout_closes_what_nobody_uses(self):
        tarn, c = self.serve(f"redis://127.0.0.1:{self.redis.port}", "idle-timeout 100ms")
        self.assertEqual(c.cmd("GET", "user:1"), b"v")
        until(lambda: self.users() == [], "the connections to be closed")
        self.assertEqual(fields(c.cmd("SOURCE", "INFO", "shop"))["state"], b"up")
        self.assertIsNone(c.cmd("GET", "user:2"))
        self.assertEqual(fields(c.cmd("SOURCE", "INFO", "shop"))["errors"], 0)

    def test_max_lifetime_replaces_a_connection_under_traffic(self):
        tarn, c = self.serve(f"redis://127.0.0.1:{self.redis.port}", "max-lifetime 100ms idle-timeout 0 pool 1")
        seen = set()

        def load():
            self.assertIsNone(c.cmd("GET", f"user:{time.monotonic_ns()}"))
            seen.update(client["id"] for client in self.o.client_list())
            return len(seen) >= 3 + 1  # and our own
        until(load, "two replacements")
        self.assertEqual(fields(c.cmd("SOURCE", "INFO", "shop"))["errors"], 0)

    def test_connections_stay_without_limits(self):
        tarn, c = self.serve(f"redis://127.0.0.1:{self.redis.port}", "max-lifetime 0 idle-timeout 0")
        self.assertEqual(c.cmd("GET", "user:1"), b"v")
        before = {client["id"] for client in self.o.client_list()}
        until(lambda: max(int(client["age"]) for client in self.o.client_list()) >= 2, "two ticks of upkeep")
        self.assertEqual({client["id"] for client in self.o.client_list()}, before)


class Ways(unittest.TestCase):
    """By a name, through a Unix socket, to another Tarn."""

    def loads(self, dsn, key="user:1", value=b"v"):
        with Tarn(config=f"source shop redis {dsn}\n{MAPS}") as tarn, tarn.connect() as c:
            until(lambda: c.cmd("GET", key) == value, "a load")

    def test_names(self):
        with Redis() as origin, origin.connect() as o:
            o.cmd("SET", "user:1", "v")
            self.loads(f"redis://localhost:{origin.port}")

    def test_a_name_that_nobody_knows(self):
        with Tarn(config=f"source shop redis redis://nosuch.invalid\n{MAPS}") as tarn, tarn.connect() as c:
            until(lambda: c.cmd("GET", "user:1").split()[0] == "SOURCEDOWN", "a failed look-up")
            self.assertEqual(c.cmd("SET", "plain", "p"), "OK")

    def test_unix_sockets(self):
        folder = tempfile.mkdtemp(prefix="tarn-redis-")
        self.addCleanup(shutil.rmtree, folder, True)
        path = os.path.join(folder, "redis.sock")
        with Redis("--unixsocket", path) as origin, origin.connect() as o:
            o.cmd("SELECT", 3)
            o.cmd("SET", "user:1", "v")
            self.loads(f"unix://{path}?db=3")

    def test_another_tarn_and_what_it_says_of_its_source(self):
        maps = 'source deep mock x\nmap deep deep "user:{id:int}" "$id" error-hold 10ms ttl 10s jitter 0\n'
        with Tarn("--enable-debug-command", "yes", config=maps) as origin, origin.connect() as o:
            with Tarn(config=f"source shop redis redis://127.0.0.1:{origin.port}\n{MAPS}") as tarn, tarn.connect() as c:
                self.assertEqual(c.cmd("GET", "user:7"), b"mock:7:1")
                self.assertIn(c.cmd("PTTL", "user:7"), range(5000, 10001))
                for fault, word in (("down", "SOURCEDOWN"), ("timeout", "SOURCETIMEOUT"), ("busy", "SOURCEBUSY"),
                                    ("big", "SOURCEBIG"), ("err", "SOURCEERR")):
                    self.assertEqual(o.cmd("DEBUG", "SOURCE", "deep", "FAIL", fault), b"OK")
                    until(lambda: c.cmd("GET", "user:8").split()[0] == word, word)
                self.assertEqual(fields(c.cmd("SOURCE", "INFO", "shop"))["state"], b"up")


class Late(TarnCase):
    """The origin is a Tarn with a mock source, which says when a reply leaves."""
    args = ("--enable-debug-command", "yes")
    config = "source deep mock x\n" + \
             "".join(f'map {name} deep "{name}:{{id:int}}" "$id" load-timeout 20s\n' for name in ("user", "slow"))

    def test_a_reply_that_comes_too_late_is_nobodys(self):
        origin = self.c

        def held():
            return origin.cmd("DEBUG", "SOURCE", "deep", "HELD")

        config = f"""source shop redis redis://127.0.0.1:{self.tarn.port} pool 1
            map user shop "user:{{id:int}}" "GET user:$id" load-timeout 20s
            map slow shop "slow:{{id:int}}" "GET slow:$id" load-timeout 1s error-hold 0"""
        with Tarn(config=config) as tarn, tarn.connect() as a, tarn.connect() as b, tarn.connect() as c:
            self.assertEqual(a.cmd("GET", "user:1"), b"mock:1:1")
            before = self.info("stats")["total_connections_received"]
            origin.cmd("DEBUG", "SOURCE", "deep", "HOLD")
            a.send(b"GET user:2\r\n")
            until(lambda: held() in (b"1", 1), "the first query to be held")
            b.send(b"GET slow:3\r\n")
            until(lambda: fields(c.cmd("SOURCE", "INFO", "shop"))["busy"] == 2, "the second to be sent")
            origin.cmd("DEBUG", "SOURCE", "deep", "RELEASE", "1")
            self.assertEqual(a.reply(), b"mock:2:2")
            self.assertEqual(b.reply().split()[0], "SOURCETIMEOUT")
            a.send(b"GET user:4\r\n")
            until(lambda: fields(c.cmd("SOURCE", "INFO", "shop"))["busy"] == 1, "the third to be sent")
            origin.cmd("DEBUG", "SOURCE", "deep", "RELEASE")
            self.assertEqual(a.reply(), b"mock:4:4")
            self.assertEqual(c.cmd("GET", "slow:5"), b"mock:5:5")
            self.assertEqual(self.info("stats")["total_connections_received"], before, "the connection was kept")


class Failures(OriginCase):
    source_options = "load-timeout 1s connect-timeout 500ms pool 2"

    def restart(self):
        type(self).redis = Redis(port=self.redis.port)
        self.o.connection_pool.disconnect()

    def test_down_at_start_and_up_without_a_load(self):
        port = free_port()
        with Tarn(config=f"source shop redis redis://127.0.0.1:{port} load-timeout 2s\n{MAPS}") as tarn, tarn.connect() as c:
            start = time.monotonic()
            for _ in range(5):
                self.error("user:1", "SOURCEDOWN", c=c)
            self.assertLess(time.monotonic() - start, 1)
            self.assertEqual(self.state(c), b"down")
            with Redis(port=port):
                until(lambda: self.state(c) == b"up", "the state to be up, without a load")
                until(lambda: c.cmd("GET", "user:1") is None, "loads to work")

    def test_killed(self):
        self.o.set("user:1", "v")
        self.o.set("user:2", "w")
        self.assertEqual(self.c.cmd("GET", "user:1"), b"v")
        self.redis.kill()
        try:
            start = time.monotonic()
            for _ in range(5):
                self.error("user:2", "SOURCEDOWN")
            self.assertLess(time.monotonic() - start, 1)
            self.assertEqual(self.state(), b"down")
            self.assertEqual(self.c.cmd("GET", "user:1"), b"v", "what is in memory is served")
            self.plain_keys_work()
        finally:
            self.restart()
        self.o.set("user:2", "x")
        self.recovers("user:2", b"x")

    def test_killed_in_the_middle_of_loads(self):
        """Rule 48."""
        self.redis.signal(signal.SIGSTOP)
        waiting = [self.connect() for _ in range(40)]
        for i, c in enumerate(waiting):
            c.send(b"GET user:%d\r\n" % (1000 + i))
        until(lambda: fields(self.c.cmd("SOURCE", "INFO", "shop"))["busy"] > 30, "the loads to be sent")
        self.redis.kill()
        try:
            for c in waiting:
                self.assertEqual(c.reply().split()[0], "SOURCEDOWN")
        finally:
            self.restart()
        self.recovers("user:1", None)

    def test_connections_cut_under_loads(self):
        """A request whose connection broke goes out once more."""
        self.o.mset({f"user:{i}": i for i in range(400)})
        links = [self.connect() for _ in range(20)]
        for n, link in enumerate(links):
            link.send(b"".join(b"GET user:%d\r\n" % (20 * n + i) for i in range(20)))
        self.o.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for n, link in enumerate(links):
            self.assertEqual(link.replies(20), [b"%d" % (20 * n + i) for i in range(20)])

    def test_idle_connections_closed_by_the_server(self):
        self.o.set("user:1", "v")
        self.assertEqual(self.c.cmd("GET", "user:1"), b"v")
        for _ in range(20):
            self.o.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.assertEqual(self.c.cmd("DEL", "user:1"), 1)
            self.assertEqual(self.c.cmd("GET", "user:1"), b"v")

    def test_black_holed(self):
        """SIGSTOP: the kernel still accepts connections, nobody answers."""
        self.o.set("user:1", "v")
        self.assertEqual(self.c.cmd("GET", "user:1"), b"v")
        self.redis.signal(signal.SIGSTOP)
        try:
            start = time.monotonic()
            self.error("quick:2", "SOURCETIMEOUT")
            took = time.monotonic() - start
            self.assertGreater(took, 0.14)
            self.assertLess(took, 1)
            with self.tarn.connect() as c:
                c.send(b"GET user:3\r\n")
                slowest = 0
                while c.is_quiet(0):
                    start = time.monotonic()
                    self.plain_keys_work()
                    slowest = max(slowest, time.monotonic() - start)
                self.assertLess(slowest, 0.5)
                self.assertIn(c.reply().split()[0], ("SOURCETIMEOUT", "SOURCEDOWN"))
            until(lambda: self.state() == b"down", "the source to be given up")

            def fails_at_once():
                start = time.monotonic()
                self.error("user:4", "SOURCEDOWN")
                return time.monotonic() - start < 0.1
            until(fails_at_once, "a failure at once")
        finally:
            self.redis.signal(signal.SIGCONT)
        self.recovers("quick:1", b"v")

    def test_a_busy_server_is_down(self):
        self.o.execute_command("CONFIG", "SET", "busy-reply-threshold", "1")
        busy = self.o.connection_pool.get_connection("EVAL")
        busy.send_command("EVAL", "while true do end", "0")
        try:
            until(lambda: isinstance(self.c.cmd("GET", "user:1"), Error), "the script to be in the way")
            self.error("user:2", "SOURCEDOWN", "SOURCETIMEOUT")
        finally:
            until(lambda: self.o.execute_command("SCRIPT", "KILL"), "the script's end")
            busy.disconnect()
        self.recovers("user:1", None)

    def test_shutdown_with_loads_running(self):
        with Tarn(config="shutdown-timeout 1\n" + self.config.replace("load-timeout 1s", "load-timeout 30s")) as tarn:
            with tarn.connect() as c:
                self.assertIsNone(c.cmd("GET", "user:1"))
                self.redis.signal(signal.SIGSTOP)
                try:
                    c.send(b"GET user:2\r\n")
                    with tarn.connect() as other:
                        until(lambda: fields(other.cmd("SOURCE", "INFO", "shop"))["busy"] == 1, "the load to be sent")
                    start = time.monotonic()
                    tarn.signal(15)
                    self.assertEqual(tarn.wait_exit(), 0)
                    self.assertLess(time.monotonic() - start, 5)
                finally:
                    self.redis.signal(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
