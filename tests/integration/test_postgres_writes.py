"""What only PostgreSQL's writes can meet: pipelines, poolers, deferred constraints, types of parameters."""
from resp import Error, encode
from tarn import Tarn, until
from test_postgres import PostgresCase

MAPS = """
map w shop "w:{id:int}" "SELECT name FROM item WHERE id = $id" error-hold 10ms writes through on-set "UPDATE item SET name = $value WHERE id = $id" on-del "DELETE FROM item WHERE id = $id RETURNING name"
map up shop "up:{id:int}" "SELECT name FROM item WHERE id = $id" error-hold 10ms writes through on-set "INSERT INTO item VALUES ($id, $value) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name"
map all shop "all:{id:int}" "SELECT name FROM item WHERE id = $id" writes through on-set "UPDATE item SET name = $value WHERE id <= $id RETURNING name"
map late shop "late:{id:int}" "SELECT tag FROM late WHERE id = $id" writes through on-set "INSERT INTO late VALUES ($id, $value)"
map fn shop "fn:{id:int}" "SELECT tag FROM late WHERE id = $id" writes through on-set "SELECT add_late($id, $value)"
map typed shop "typed:{id:int}" "SELECT doc::text FROM typed WHERE id = $id" writes through on-hset "UPDATE typed SET n = coalesce($n, n), doc = coalesce($doc, doc), raw = coalesce($raw, raw), at = coalesce($at, at) WHERE id = $id"
map old shop "old:{id:int}" "SELECT * FROM shape WHERE id = $id" as json
"""
SCHEMA = """
CREATE TABLE late (id int, tag text, UNIQUE (tag) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE typed (id int PRIMARY KEY, n smallint, doc jsonb, raw bytea, at timestamptz);
CREATE TABLE shape (id int PRIMARY KEY);
CREATE FUNCTION add_late(int, text) RETURNS void LANGUAGE sql AS 'INSERT INTO late VALUES ($1, $2)';
"""


class PostgresWrites(PostgresCase):
    options = "pool 1 pipeline 16 load-timeout 2s"
    maps = MAPS

    @classmethod
    def prepare(cls):
        for statement in SCHEMA.strip().split("\n"):
            cls.db.execute(statement)

    def setUp(self):
        super().setUp()
        self.db.execute("TRUNCATE late, typed, shape")
        self.db.execute("INSERT INTO typed VALUES (1, 1, '{}', '', '2000-01-01')")

    def fails(self, word, *command, c=None):
        reply = (c or self.c).cmd(*command)
        self.assertIsInstance(reply, Error, (command, reply))
        self.assertEqual(reply.split()[0], word, reply)

    def one(self, sql):
        return self.db.execute(sql)[0][0]

    def idle(self):
        """No session of ours was left inside a transaction."""
        return self.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tarn' AND state LIKE 'idle in%'") == 0

    def test_one_connection_for_loads_and_writes(self):
        clients = [self.connect() for _ in range(12)]
        for i, c in enumerate(clients):
            c.send(encode("GET", f"slow:{i + 1}") if i % 3 == 0 else encode("SET", f"w:{i + 1}", f"new {i}") if i % 3 == 1
                   else encode("SET", "late:1", "same"))
        replies = [c.reply() for c in clients]
        self.assertEqual(replies[0::3], [b"name %d" % (i + 1) for i in range(0, 12, 3)])
        self.assertEqual(replies[1::3], ["OK"] * 4)
        self.assertEqual(sorted(r.split()[0] for r in replies[2::3]), ["OK"] + ["SOURCEERR"] * 3)
        self.assertEqual(self.one("SELECT count(*) FROM item WHERE name LIKE 'new %'"), 4)
        self.assertTrue(self.idle())

    def test_a_statement_that_is_outdated_ahead_of_a_write(self):
        """Its load is sent again, but not behind the write: nothing is."""
        self.db.execute("INSERT INTO shape VALUES (1), (2)")
        self.assertEqual(self.c.cmd("GET", "old:1"), b'{"id":1}')
        self.db.execute("ALTER TABLE shape ADD COLUMN n int DEFAULT 7")
        try:
            slow, load, write = (self.connect() for _ in range(3))
            slow.send(encode("GET", "slow:1"))
            until(lambda: self.db.sessions("state = 'active' AND application_name = 'tarn' AND query LIKE '%sleep%'"), "the first query to run")
            load.send(encode("GET", "old:2"))
            write.send(encode("SET", "late:1", "x"))
            self.assertEqual(slow.reply(), b"name 1")
            self.assertEqual(load.reply(), b'{"id":2,"n":7}')
            self.assertEqual(write.reply(), "OK")
        finally:
            self.db.execute("ALTER TABLE shape DROP COLUMN n")

    def test_a_constraint_that_speaks_up_at_commit(self):
        self.assertEqual(self.c.cmd("SET", "late:1", "same"), "OK")
        self.assertIsNone(self.c.cmd("GET", "late:2"))
        self.fails("SOURCEERR", "SET", "late:2", "same")
        self.assertEqual(self.one("SELECT count(*) FROM late"), 1)
        self.assertTrue(self.idle())
        self.assertEqual(self.c.cmd("SET", "late:2", "other"), "OK")

    def test_a_function_may_be_the_statement(self):
        self.assertEqual(self.c.cmd("SET", "fn:5", "five"), "OK")
        self.assertEqual(self.c.cmd("GET", "fn:5"), b"five")

    def test_of_several_rows_none_is_stored(self):
        self.assertEqual(self.c.cmd("SET", "all:3", "three of them"), "OK")
        self.assertIsNone(self.c.cmd("SOURCE", "GET", "all:3", "CACHEONLY"))
        self.assertEqual(self.one("SELECT count(*) FROM item WHERE name = 'three of them'"), 3)

    def test_wide_keys_are_rows_that_do_not_exist(self):
        for key in ("w:2147483648", "w:-9223372036854775808"):
            self.fails("SOURCENOROW", "SET", key, "x")
            self.fails("SOURCENOROW", "DEL", key)
        self.fails("SOURCEERR", "SET", "up:2147483648", "x")

    def test_bytes_that_are_no_text(self):
        for value in (b"\xff", b"a\0b", b"\xc3"):
            self.fails("SOURCEERR", "SET", "w:1", value)
            self.fails("SOURCEERR", "HSET", "typed:1", "doc", value)
            self.fails("SOURCEERR", "HSET", "typed:1", "n", value)
            self.assertEqual(self.c.cmd("HSET", "typed:1", "raw", value), 0)
            self.assertEqual(bytes(self.one("SELECT raw FROM typed")), value)
        self.fails("SOURCEERR", "HSET", "typed:1", "n", b"\0\1", "at", b"\0" * 8)
        self.assertEqual(self.db.execute("SELECT name FROM item WHERE id = 1"), [("name 1",)])
        self.assertEqual(self.db.execute("SELECT n, doc, at < '2000-01-02' FROM typed"), [(1, {}, True)])

    def test_texts_become_what_the_columns_are(self):
        self.assertEqual(self.c.cmd("HSET", "typed:1", "n", "-7", "doc", '{"a": "\u00e9"}', "raw", "\\x41", "at", "2001-02-03"), 0)
        self.assertEqual(self.db.execute("SELECT n, doc, raw = '\\x5c783431', at::date::text FROM typed"),
                         [(-7, {"a": "\u00e9"}, True, "2001-02-03")])
        for field, value in (("n", "70000"), ("n", "x"), ("doc", "{"), ("at", "yesteryear")):
            self.fails("SOURCEERR", "HSET", "typed:1", field, value)
        self.assertTrue(self.idle())

    def test_without_prepared_statements(self):
        """As behind a transaction pooler: nothing of a write outlives it."""
        with Tarn(config=self.config.replace("pool 1", "pool 1 prepare no")) as tarn, tarn.connect() as c:
            for i in range(3):
                self.assertEqual(c.cmd("SET", "up:200", f"v{i}"), "OK")
                self.assertEqual(c.cmd("SOURCE", "GET", "up:200", "CACHEONLY"), b"v%d" % i)
                self.fails("SOURCEERR", "SET", "w:200", b"\xff", c=c)
            self.assertEqual(c.cmd("DEL", "w:200"), 1)
            holder = self.db.connect()
            holder.autocommit = False
            holder.cursor().execute("SELECT * FROM item FOR UPDATE")
            try:
                self.fails("SOURCETIMEOUT", "SET", "w:1", "x", c=c)
            finally:
                holder.close()
            self.assertEqual(c.cmd("SET", "w:1", "x"), "OK")
