"""What only PostgreSQL has: the NOTIFY feed, TLS, pipelining, its own refusals."""
import os
import subprocess
import time

from case import TarnCase
from daemon import write_file
from database import check_at_rest, fields
from postgres import Postgres
from proxy import Proxy
from resp import Error
from tarn import Tarn, until

MAPS = """
map name shop "name:{id:int}" "SELECT name FROM item WHERE id = $id" error-hold 20ms
map slow shop "slow:{id:int}" "SELECT name FROM item, pg_sleep(0.3) WHERE id = $id" load-timeout 5s
map other shop "other:{id:int}" "SELECT name FROM item WHERE id = $id"
"""
SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, name text)"


class PostgresCase(TarnCase):
    """A PostgreSQL for each class, and a tarn that reads from it through self.proxy."""
    options = ""
    maps = ""
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.db = Postgres(**cls.settings)
        cls.addClassCleanup(cls.db.stop)
        cls.db.execute(SCHEMA)
        cls.proxy = Proxy(("127.0.0.1", cls.db.port))
        cls.addClassCleanup(cls.proxy.stop)
        cls.prepare()
        dsn = cls.db.dsn_for("postgres", port=cls.proxy.port)
        cls.config = f'source shop postgres "{dsn}" breaker-open 50ms..200ms {cls.options}\n{MAPS}{cls.maps}'
        super().setUpClass()

    @classmethod
    def prepare(cls):
        pass

    def setUp(self):
        super().setUp()
        self.db.execute("TRUNCATE item")
        self.db.execute("INSERT INTO item SELECT i, 'name ' || i FROM generate_series(1, 100) i")
        self.c.cmd("FLUSHALL")
        self.c.cmd("SOURCE", "RESETSTAT")

    def source(self):
        return fields(self.c.cmd("SOURCE", "INFO", "shop"))

    def map(self, name="name"):
        return fields(self.c.cmd("SOURCE", "INFO", name))

    def tearDown(self):
        check_at_rest(self)


class Feed(PostgresCase):
    """Changes reach the cache by NOTIFY."""
    options = "invalidate notify cache_inval gap-ttl 60s connect-timeout 2s"

    @classmethod
    def prepare(cls):
        cls.db.execute("""CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_LEVEL = 'STATEMENT' THEN PERFORM pg_notify('cache_inval', '!name');
            ELSE
              IF TG_OP <> 'INSERT' THEN PERFORM pg_notify('cache_inval', 'name:' || OLD.id || E'\\nslow:' || OLD.id); END IF;
              IF TG_OP <> 'DELETE' THEN PERFORM pg_notify('cache_inval', 'name:' || NEW.id || E'\\nslow:' || NEW.id); END IF;
            END IF;
            RETURN NULL; END $$""")
        cls.db.execute("CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION tell()")
        cls.db.execute("CREATE TRIGGER tell_all AFTER TRUNCATE ON item FOR EACH STATEMENT EXECUTE FUNCTION tell()")

    def setUp(self):
        super().setUp()
        self.feed_is("up")
        self.quiet()

    def feed_is(self, state):
        until(lambda: self.source()["feed"] == state.encode(), f"the feed to be {state}")

    def quiet(self):
        """All notices sent so far have been applied: one more, of a key that is cached, has."""
        self.assertIsInstance(self.c.cmd("GET", "other:1"), bytes)
        self.db.execute("SELECT pg_notify('cache_inval', 'other:1')")
        until(lambda: fields(self.c.cmd("SOURCE", "EXPLAIN", "other:1"))["cached"] == b"no", "the notice")

    def sees(self, key, value):
        until(lambda: self.c.cmd("GET", key) == value, f"{key} to be {value}", 5)

    def test_a_commit_is_seen_by_the_next_get(self):
        """Rule 17."""
        self.assertEqual(self.c.cmd("GET", "name:1"), b"name 1")
        self.db.execute("UPDATE item SET name = 'uno' WHERE id = 1")
        self.quiet()
        self.assertEqual(self.c.cmd("GET", "name:1"), b"uno")
        self.db.execute("DELETE FROM item WHERE id = 2")
        self.quiet()
        self.assertIsNone(self.c.cmd("GET", "name:2"))

    def test_an_insert_ends_the_memory_of_a_missing_row(self):
        """Rule 29."""
        self.assertIsNone(self.c.cmd("GET", "name:500"))
        self.db.execute("INSERT INTO item VALUES (500, 'here')")
        self.quiet()
        self.assertEqual(self.c.cmd("GET", "name:500"), b"here")

    def test_truncate_empties_the_map(self):
        for i in range(1, 20):
            self.assertEqual(self.c.cmd("GET", f"name:{i}"), b"name %d" % i)
        self.assertEqual(self.c.cmd("SET", "plain", "p"), "OK")
        self.db.execute("TRUNCATE item")
        until(lambda: self.c.cmd("GET", "name:1") is None, "the truncation to be seen")
        self.assertIsNone(self.c.cmd("GET", "name:2"))
        self.assertEqual(self.c.cmd("GET", "plain"), b"p")

    def test_nothing_is_removed_before_the_commit(self):
        self.assertEqual(self.c.cmd("GET", "name:2"), b"name 2")
        db = self.db.connect()
        db.autocommit = False
        db.cursor().execute("UPDATE item SET name = 'due' WHERE id = 2")
        self.quiet()
        hits = self.map()["hits"]
        self.assertEqual(self.c.cmd("GET", "name:2"), b"name 2")
        self.assertEqual(self.map()["hits"], hits + 1)
        db.commit()
        db.close()
        self.sees("name:2", b"due")

    def test_a_load_under_way_is_voided(self):
        """Rule 8."""
        with self.tarn.connect() as c:
            c.send(b"GET slow:3\r\n")
            until(lambda: self.source()["busy"] == 1, "the load to be sent")
            self.db.execute("UPDATE item SET name = 'tre' WHERE id = 3")
            self.quiet()
            self.assertIn(c.reply(), (b"name 3", b"tre"))
        self.assertEqual(self.map("slow")["voided"], 1)
        self.assertEqual(self.c.cmd("GET", "slow:3"), b"tre")

    def test_no_stale_read_after_a_gap(self):
        """Rule 20. The connection of the feed is killed, a row changes meanwhile: the old one is gone when it is back."""
        for round_number in range(3):
            self.assertEqual(self.c.cmd("GET", "name:4"), b"name 4" if round_number == 0 else b"gap %d" % round_number)
            self.proxy.refuse()
            self.proxy.cut()
            self.feed_is("down")
            self.db.execute(f"UPDATE item SET name = 'gap {round_number + 1}' WHERE id = 4")
            self.proxy.accept()
            self.feed_is("up")
            self.sees("name:4", b"gap %d" % (round_number + 1))
        self.assertEqual(self.source()["feed_gaps"], 3)

    def test_after_feed_up_the_first_read_is_new(self):
        """Rule 20."""
        self.assertEqual(self.c.cmd("GET", "name:5"), b"name 5")
        self.db.terminate("query LIKE 'LISTEN%' OR query = 'SELECT 1'")
        self.db.execute("UPDATE item SET name = 'five' WHERE id = 5")
        until(lambda: self.source()["feed_gaps"] == 1, "the gap to be over")
        self.assertEqual(self.c.cmd("GET", "name:5"), b"five")

    def test_a_silent_link_is_noticed(self):
        """Bytes stop in both directions and nothing is closed: signs of life are missed."""
        self.proxy.hold()
        try:
            self.feed_is("down")
        finally:
            self.proxy.release()
        self.feed_is("up")

    def test_many_keys_in_one_transaction(self):
        for i in range(1, 101):
            self.c.cmd("GET", f"name:{i}")
        self.db.execute("UPDATE item SET name = 'n' || id")
        self.quiet()
        for i in range(1, 101):
            self.assertEqual(self.c.cmd("GET", f"name:{i}"), b"n%d" % i)

    def test_the_triggers_that_source_ddl_prints_do_it(self):
        self.db.execute('CREATE SCHEMA it; CREATE TABLE it.page (lang text, slug text, body text, id serial PRIMARY KEY)')
        self.addCleanup(self.db.execute, "DROP SCHEMA it CASCADE")
        config = self.config + (
            'map page shop "it\'s:{lang:str}/{slug:str}" "SELECT body FROM it.page WHERE lang = $lang AND slug = $slug" '
            'table it.page\n')
        with Tarn(config=config) as tarn, tarn.connect() as c:
            self.db.execute(c.cmd("SOURCE", "DDL", "page").decode())
            self.db.execute(c.cmd("SOURCE", "DDL", "page").decode())  # again: replaces them
            until(lambda: fields(c.cmd("SOURCE", "INFO", "shop"))["feed"] == b"up", "the feed to be up")

            def sees(key, value):
                until(lambda: c.cmd("GET", key) == value, f"{key} to be {value}", 5)

            for slug in ("a", "b", "two\nlines", "!", "\u00e9'"):
                key = f"it's:en/{slug}"
                self.assertIsNone(c.cmd("GET", key))
                self.db.execute("INSERT INTO it.page (lang, slug, body) VALUES ('en', %s, 'one')", slug)
                sees(key, b"one")
                self.db.execute("UPDATE it.page SET body = 'two' WHERE slug = %s", slug)
                sees(key, b"two")
            self.db.execute("INSERT INTO it.page (lang, slug) VALUES (NULL, 'c'), (repeat('x', 9000), 'd')")
            self.db.execute("UPDATE it.page SET slug = 'moved' WHERE slug = 'a'")
            sees("it's:en/a", None)
            sees("it's:en/moved", b"two")
            self.db.execute("DELETE FROM it.page WHERE slug = 'b'")
            sees("it's:en/b", None)
            self.assertEqual(c.cmd("GET", "it's:en/moved"), b"two")
            self.db.execute("TRUNCATE it.page")
            sees("it's:en/moved", None)
        self.assertEqual(self.c.cmd("SOURCE", "DDL", "name"), "ERR the map does not say whose rows it loads: set its "
                         "option 'table'")
        self.assertEqual(self.c.cmd("SOURCE", "DDL", "nosuch"), "ERR there is no such map")

    def test_tracking_clients_hear_of_it(self):
        """Rule 26."""
        with self.tarn.connect() as c:
            c.cmd("HELLO", "3")
            c.cmd("CLIENT", "TRACKING", "ON")
            self.assertEqual(c.cmd("GET", "name:6"), b"name 6")
            self.db.execute("UPDATE item SET name = 'six' WHERE id = 6")
            push = c.reply()
            self.assertIn(b"name:6", repr(push).encode())
            self.assertEqual(c.cmd("GET", "name:6"), b"six")


class Pool(PostgresCase):
    options = "pool 3 pipeline 4 load-timeout 10s"

    def connections(self):
        return len(self.db.sessions("application_name = 'tarn'"))

    def test_pipelining_only_when_no_connection_is_idle(self):
        clients = [self.connect() for _ in range(8)]
        for i, c in enumerate(clients):
            c.send(b"GET slow:%d\r\n" % (i + 1))
        until(lambda: self.source()["busy"] == 8, "all to be sent")
        until(lambda: self.connections() == 3, "the pool to be full")
        for i, c in enumerate(clients):
            self.assertEqual(c.reply(), b"name %d" % (i + 1))
        self.assertEqual(self.map("slow")["loads"], 8)

    def test_a_bad_key_fails_alone_in_a_pipeline(self):
        config = self.config.replace("pool 3 pipeline 4", "pool 1 pipeline 16") + (
            'map cast shop "cast:{text:str}" "SELECT $text::int"\n')
        with Tarn(config=config) as tarn:
            clients = [tarn.connect() for _ in range(9)]
            clients[0].send(b"GET slow:1\r\n")
            for i, c in enumerate(clients[1:]):
                c.send(b"GET cast:%s\r\n" % (b"x" if i % 2 else b"%d" % i))
            self.assertEqual(clients[0].reply(), b"name 1")
            for i, c in enumerate(clients[1:]):
                reply = c.reply()
                if i % 2:
                    self.assertEqual(reply.split()[0], "SOURCEERR")
                else:
                    self.assertEqual(reply, b"%d" % i)
                c.close()
            clients[0].close()

    def test_idle_and_old_connections_are_closed(self):
        with Tarn(config=self.config.replace("pool 3", "pool 3 idle-timeout 1")) as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1"), b"name 1")
            self.assertEqual(fields(c.cmd("SOURCE", "INFO", "shop"))["conns"], 1)
            until(lambda: fields(c.cmd("SOURCE", "INFO", "shop"))["conns"] == 0, "the idle connection to be closed")
            self.assertEqual(c.cmd("GET", "name:2"), b"name 2")
        with Tarn(config=self.config.replace("pool 3", "pool 1 max-lifetime 1")) as tarn, tarn.connect() as c:
            end = time.monotonic() + 1.5
            pids = set()
            while time.monotonic() < end or len(pids) < 2:
                c.cmd("DEL", "name:1")
                self.assertEqual(c.cmd("GET", "name:1"), b"name 1")
                pids |= set(self.db.sessions("application_name = 'tarn' AND query LIKE '%FROM item%'"))
                self.assertLess(time.monotonic(), end + 10)

    def test_without_prepared_statements(self):
        with Tarn(config=self.config.replace("pool 3", "pool 3 prepare no")) as tarn, tarn.connect() as c:
            for i in (1, 2, 3):
                self.assertEqual(c.cmd("GET", f"name:{i}"), b"name %d" % i)
            self.assertEqual(self.db.execute("SELECT count(*) FROM pg_prepared_statements"), [(0,)])

    def test_sessions_are_read_only_and_in_utc(self):
        config = self.config + (
            'map write shop "write:{id:int}" "SELECT nextval(\'counter\') + $id"\n'
            'map time shop "time:{id:int}" "SELECT to_timestamp($id)"\n')
        self.db.execute("CREATE SEQUENCE counter")
        self.addCleanup(self.db.execute, "DROP SEQUENCE counter")
        with Tarn(config=config) as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "write:1").split()[0], "SOURCEERR")
            self.assertEqual(c.cmd("GET", "time:0"), b"1970-01-01 00:00:00+00")
        self.assertEqual(self.db.execute("SELECT is_called FROM counter"), [(False,)])

    def test_a_name_is_resolved_and_several_hosts_are_tried(self):
        for host in ("localhost", "127.0.0.2,localhost", self.db.dir):
            dsn = self.db.dsn_for("postgres", host=host)
            with Tarn(config=f'source shop postgres "{dsn}"\n{MAPS}') as tarn, tarn.connect() as c:
                self.assertEqual(c.cmd("GET", "name:1"), b"name 1", host)
        with Tarn(config=f'source shop postgres "host=no-such-host.invalid" connect-timeout 5s\n{MAPS}') as tarn, \
                tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1").split()[0], "SOURCEDOWN")
            self.assertIn("no-such-host.invalid", tarn.log())

    def test_values_postgres_has_and_others_have_not(self):
        config = self.config + (
            'map real shop "real:{text:str}" "SELECT $text::float8 AS v" as json\n'
            'map numeric shop "numeric:{text:str}" "SELECT $text::numeric AS v"\n'
            'map array shop "array:{id:int}" "SELECT ARRAY[$id::int, 2] AS v"\n'
            'map uuid shop "uuid:{u:uuid}" "SELECT $u::uuid"\n'
            'map bytes shop "bytes:{b:bytes}" "SELECT $b::bytea || \'\\\\x00\'"\n')
        with Tarn(config=config) as tarn, tarn.connect() as c:
            for key, value in (("real:NaN", b'{"v":null}'), ("real:-Infinity", b'{"v":null}'), ("real:0.1", b'{"v":0.1}'),
                               ("real:1e300", b'{"v":1e+300}'), ("numeric:NaN", b"nan"), ("array:1", b"{1,2}"),
                               ("numeric:0.1000000000000000000000000000001", b"0.1000000000000000000000000000001"),
                               ("uuid:0e984725-c51c-4bf4-9960-e1c80e27aba0", b"0e984725-c51c-4bf4-9960-e1c80e27aba0"),
                               (b"bytes:\xff\x00a", b"\xff\x00a\x00")):
                self.assertEqual(c.cmd("GET", key), value, key)
            self.assertEqual(c.cmd("GET", b"real:\xff\xfe").split()[0], "SOURCEERR")


class Tls(PostgresCase):
    """verify-full with a certificate authority of our own."""

    @classmethod
    def prepare(cls):
        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=cls.db.data, check=True, capture_output=True, timeout=60)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                "-out", "ca.crt", "-subj", "/CN=test-ca", "-days", "2")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key",
                "-out", "server.csr", "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", "server.crt", "-days", "2")
        for name in ("server.key", "server.crt"):
            with open(os.path.join(cls.db.data, name), encoding="ascii") as f:
                write_file(cls.db.data, name, f.read())
        with open(os.path.join(cls.db.data, "ca.crt"), encoding="ascii") as f:
            cls.ca = write_file("/tmp" if os.getuid() else cls.db.dir, "ca.crt", f.read(), 0o644)
        cls.db.execute("ALTER SYSTEM SET ssl = on")
        cls.db.execute("SELECT pg_reload_conf()")

    def serve(self, host, more):
        dsn = self.db.dsn_for("postgres", host=host)
        return Tarn(config=f'source shop postgres "{dsn} {more}"\n{MAPS}')

    def test_verify_full(self):
        with self.serve("localhost", f"sslmode=verify-full sslrootcert={self.ca}") as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1"), b"name 1")
            self.assertEqual(self.db.execute("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                             "WHERE application_name = 'tarn' AND query LIKE '%item%'"), [(True,)])
        with self.serve("127.0.0.1", f"sslmode=verify-full sslrootcert={self.ca}") as tarn, tarn.connect() as c:
            self.assertIsInstance(c.cmd("GET", "name:1"), Error, "the certificate is for another name")
            self.assertIn("certificate", tarn.log())
