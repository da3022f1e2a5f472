"""The databases of the driver suite, behind one face: each row says how the same things are done there.

An origin holds the table `item` with the rows below, takes changes, and can be stopped, frozen and slow. `query` has the
text for each map of the suite.
"""
import os
import shutil
import sqlite3
import tempfile

from mariadb import MariaDB
from postgres import Postgres

BYTES = b"\x00\xff\r\n\x00"
EMOJI = 'quo"te \\ \u00e9 \U0001f600'
BIG = 9007199254740993  # one more than a double can tell from its neighbour
# id, name, qty, price, doc, picture, active
ITEMS = [
    (1, "one", BIG, "12345678901234567890.125", '{"a": [1, 2]}', BYTES, True),
    (2, None, None, None, None, None, None),
    (3, "", 0, "0", "[]", b"", False),
    (4, EMOJI, -BIG, "-0.5", '"s"', b"x", True),
]
COLUMNS = "id, name, qty, price, doc, picture, active"


class Origin:
    """One running database. Subclasses fill in how."""
    name = driver = None
    has_network = True   # it is behind a port: can be refused, held back, cut
    has_accounts = True  # users and passwords
    families = None      # names of the only classes of cases that it can serve
    without = ()         # cases of those that it cannot
    sneaky = None        # a query that writes after make_sneaky(True)
    bulk = ("id IN ($id[])", "name IN ($text[])")  # conditions of bulk queries
    grants = "SELECT (id, name), INSERT (id, name), UPDATE (name), DELETE"  # of the recipes in docs/read-through.md
    upsert = "ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING upper(name) AS name"
    query = {
        "name": "SELECT name FROM item WHERE id = $id",
        "text": "SELECT id FROM item WHERE name = $text",
        "picture": "SELECT picture FROM item WHERE id = $id",
        "whole": f"SELECT {COLUMNS} FROM item WHERE id = $id",
        "qty": "SELECT qty FROM item WHERE id = $id",
        "hash": "SELECT id, name, picture, active FROM item WHERE id = $id",
        "rows": "SELECT id, name FROM item WHERE id >= $id ORDER BY id",
        "price": "SELECT price FROM item WHERE id = $id",
        "many": "SELECT name FROM item WHERE id >= $id ORDER BY id",
        "gone": "SELECT extra FROM item WHERE id = $id",
        "stale": "SELECT name FROM item WHERE id = $id",
        "old": "SELECT name FROM item WHERE id = $id",
        "filled": "SELECT name FROM item WHERE id = $id",
        "wanted": "SELECT name FROM item WHERE id = $id",
        "fields": "SELECT name, picture FROM item WHERE id = $id",
        "object": "SELECT name, picture FROM item WHERE id = $id",
    }
    tells_null = True  # a row whose columns are all NULL differs from no row

    def execute(self, sql):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def make_sneaky(self, does_write):
        """A query that would write from the beginning is refused at start in some places."""

    def break_statements(self):
        """Each query is an error of its own, until restore()."""
        self.execute("ALTER TABLE item RENAME TO item_away")

    def restore(self):
        """The table as at the beginning."""
        self.execute("DROP TABLE IF EXISTS item")
        self.execute("DROP TABLE IF EXISTS item_away")
        self.execute(self.schema)
        for row in ITEMS:
            self.insert(row)


class SqliteOrigin(Origin):
    name = driver = "sqlite"
    has_network = has_accounts = False
    schema = ("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, qty INTEGER, price TEXT, doc JSON, picture BLOB, "
              "active BOOLEAN, extra TEXT DEFAULT 'extra')")
    query = {
        **Origin.query,
        "slow": "WITH RECURSIVE n(x) AS (SELECT $id UNION ALL SELECT x + 1 FROM n WHERE x < $id * 10000000) "
                "SELECT count(*) FROM n",
        "large": "SELECT replace(hex(zeroblob($size / 2)), '0', 'x')",
    }
    bulk = ("id IN (SELECT value FROM json_each($id[]))", "name IN (SELECT value FROM json_each($text[]))")
    whole = ('{"id":1,"name":"one","qty":9007199254740993,"price":"12345678901234567890.125","doc":{"a": [1, 2]},'
             '"picture":"AP8NCgA=","active":true}')

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tarn-sqlite-")
        self.path = os.path.join(self.dir, "shop.db")
        self.restore()

    @property
    def dsn(self):
        return self.path

    def execute(self, sql, *values):
        db = sqlite3.connect(self.path, timeout=20)
        with db:
            rows = db.execute(sql, values).fetchall()
        db.close()
        return rows

    def insert(self, row):
        self.execute(f"INSERT INTO item ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)

    def halt(self):
        os.rename(self.path, self.path + ".away")

    def start(self):
        os.rename(self.path + ".away", self.path)

    def stop(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def hold_rows(self):
        """Writers of `item` wait; returns what lets them go."""
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        return db.close

    def hold_table(self):
        """Readers of `item` wait; returns what lets them go."""
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        return db.close

    def running(self):
        """How many queries run for the cache just now; None: it cannot be asked."""
        return None


class PostgresOrigin(Origin):
    name = driver = "postgres"
    schema = ("CREATE TABLE item (id bigint PRIMARY KEY, name text, qty bigint, price numeric, doc json, picture bytea, "
              "active boolean, extra text DEFAULT 'extra')")
    query = {
        **Origin.query,
        "slow": "SELECT pg_sleep($id)::text",
        "large": "SELECT repeat('x', $size)",
    }
    whole = ('{"id":1,"name":"one","qty":9007199254740993,"price":12345678901234567890.125,"doc":{"a": [1, 2]},'
             '"picture":"AP8NCgA=","active":true}')
    bulk = ("id = ANY($id[])", "name = ANY($text[])")
    sneaky = "SELECT nextval('sneaky') + $id"

    def __init__(self):
        self.server = Postgres()
        self.execute("CREATE SEQUENCE sneaky")
        self.restore()

    @property
    def address(self):
        return ("127.0.0.1", self.server.port)

    @property
    def dsn(self):
        return self.server.dsn

    def dsn_through(self, port):
        return self.server.dsn_for("postgres", port=port)

    def execute(self, sql, *values):
        return self.server.execute(sql, *values)

    def insert(self, row):
        self.execute(f"INSERT INTO item ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)", *row)

    def add_user(self, user, password):
        self.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        self.grant(user)

    def grant(self, user, what="SELECT"):
        self.execute(f"GRANT {what} ON item TO {user}")

    def drop_user(self, user):
        self.execute(f"DROP OWNED BY {user}")
        self.execute(f"DROP ROLE {user}")

    def dsn_for(self, user, port=None):
        return self.server.dsn_for(user, port=port)

    def halt(self):
        self.server.halt()

    def start(self):
        self.server.start()

    def stop(self):
        self.server.stop()

    def freeze(self):
        return self.server.freeze()

    def kill_sessions(self, condition="true"):
        return self.server.terminate(f"application_name = 'tarn' AND {condition}")

    def kill_running(self):
        return self.kill_sessions("state = 'active'")

    def hold_rows(self):
        db = self.server.connect()
        db.autocommit = False
        db.cursor().execute("SELECT id FROM item FOR UPDATE")
        return db.close

    def hold_table(self):
        db = self.server.connect()
        db.autocommit = False
        db.cursor().execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        return db.close

    def are_waiting(self):
        """Does somebody wait for what hold_rows() holds?"""
        return len(self.server.sessions("wait_event_type = 'Lock'")) > 0

    def running(self):
        return len(self.server.sessions("application_name = 'tarn' AND state = 'active'"))


class MariaDBOrigin(Origin):
    name, driver = "mariadb", "mysql"
    schema = ("CREATE TABLE item (id bigint PRIMARY KEY, name text, qty bigint, price decimal(30, 3), doc json, "
              "picture blob, active boolean, extra varchar(20) DEFAULT 'extra')")
    query = {
        **Origin.query,
        # More rows behind the one that sleeps: SLEEP() itself ends well when it is killed.
        "slow": "SELECT SUM(IF(id = 1, SLEEP($id), 0)) FROM item",
        "large": "SELECT repeat('x', $size)",
    }
    whole = ('{"id":1,"name":"one","qty":9007199254740993,"price":12345678901234567890.125,"doc":{"a": [1, 2]},'
             '"picture":"AP8NCgA=","active":true}')

    sneaky = "SELECT sneaky($id)"
    grants = "SELECT (id, name), INSERT (id, name), UPDATE (id, name), DELETE"
    upsert = "ON DUPLICATE KEY UPDATE name = VALUES(name) RETURNING upper(name) AS name"

    def __init__(self):
        self.server = MariaDB()
        self.make_sneaky(False)
        self.restore()

    @property
    def address(self):
        return ("127.0.0.1", self.server.port)

    @property
    def dsn(self):
        return self.server.dsn

    def dsn_through(self, port):
        return self.server.dsn_for("tarn_admin", port=port)

    def execute(self, sql, *values):
        return self.server.execute(sql, *values)

    def insert(self, row):
        self.execute(f"INSERT INTO item ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)", *row)

    def add_user(self, user, password):
        self.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{password}'")
        self.grant(user)

    def grant(self, user, what="SELECT"):
        self.execute(f"GRANT {what} ON shop.item TO {user}@'127.0.0.1'")

    def drop_user(self, user):
        self.execute(f"DROP USER {user}@'127.0.0.1'")

    def dsn_for(self, user, port=None):
        return self.server.dsn_for(user, port=port)

    def halt(self):
        self.server.halt()

    def start(self):
        self.server.start()

    def stop(self):
        self.server.stop()

    def freeze(self):
        return self.server.freeze()

    def kill_sessions(self, condition="true"):
        return self.server.terminate(f"user NOT IN ('root', 'system user') AND {condition}")

    def kill_running(self):
        return self.kill_sessions("command IN ('Query', 'Execute')")

    def make_sneaky(self, does_write):
        action = "UPDATE item SET qty = x" if does_write else "DO 1"
        self.execute(f"CREATE OR REPLACE FUNCTION sneaky(x bigint) RETURNS bigint BEGIN {action}; RETURN x; END")

    def hold_rows(self):
        db = self.server.connect()
        db.begin()
        db.cursor().execute("SELECT id FROM item FOR UPDATE")
        return db.close

    def hold_table(self):
        db = self.server.connect()
        db.cursor().execute("LOCK TABLES item WRITE")
        return db.close

    def are_waiting(self):
        return len(self.execute("SELECT * FROM information_schema.innodb_lock_waits")) > 0

    def running(self):
        return len(self.execute("SELECT id FROM information_schema.processlist WHERE user NOT IN ('root', 'system user') "
                                "AND command IN ('Query', 'Execute')"))
