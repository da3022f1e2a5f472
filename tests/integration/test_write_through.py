"""Writes through to SQLite: success, refusal, rows that are not there; what RETURNING gives."""
import sqlite3

from database import DatabaseCase, check_at_rest
from resp import Error
from tarn import until


class WriteThrough(DatabaseCase):
    source_options = "load-timeout 30s"
    maps = """
map name shop "name:{id:int}" "SELECT name FROM item WHERE id = $id" writes through on-set "UPDATE item SET name = $value WHERE id = $id" on-del "DELETE FROM item WHERE id = $id"
map page shop "page:{slug:slug}" "SELECT body FROM page WHERE slug = $slug" writes through on-set "INSERT INTO page (slug, body) VALUES ($slug, $value) ON CONFLICT (slug) DO UPDATE SET body = $value RETURNING upper(body) AS body"
map item shop "item:{id:int}" "SELECT name, price FROM item WHERE id = $id" as hash writes through on-hset "UPDATE item SET name = coalesce($name, name), price = coalesce($price, price) WHERE id = $id"
"""

    def tearDown(self):
        check_at_rest(self)

    def row(self, sql, *values):
        db = sqlite3.connect(self.path, timeout=20)
        row = db.execute(sql, values).fetchone()
        db.close()
        return row

    def fails(self, word, *command):
        error = self.c.cmd(*command)
        self.assertIsInstance(error, Error)
        self.assertTrue(str(error).startswith(word), error)

    def test_set_changes_the_row_and_del_removes_it(self):
        self.assertEqual(self.c.cmd("GET", "name:2"), b"two")
        self.assertEqual(self.c.cmd("SET", "name:2", "zwei"), "OK")
        self.assertEqual(self.row("SELECT name FROM item WHERE id = 2"), ("zwei",))
        self.assertEqual(self.c.cmd("GET", "name:2"), b"zwei")
        self.change("INSERT INTO item (id, name) VALUES (50, 'fifty')")
        self.assertEqual(self.c.cmd("GET", "name:50"), b"fifty")
        self.assertEqual(self.c.cmd("DEL", "name:50"), 1)
        self.assertIsNone(self.row("SELECT name FROM item WHERE id = 50"))
        self.assertIsNone(self.c.cmd("GET", "name:50"))

    def test_no_such_row(self):
        self.fails("SOURCENOROW", "SET", "name:12345", "x")
        self.fails("SOURCENOROW", "DEL", "name:12345")

    def test_returning_is_what_is_stored(self):
        loads = self.stats("page")["loads"]
        self.assertEqual(self.c.cmd("SET", "page:fresh", "body"), "OK")
        self.assertEqual(self.c.cmd("GET", "page:fresh"), b"BODY")
        self.assertEqual(self.stats("page")["loads"], loads)
        self.assertEqual(self.row("SELECT body FROM page WHERE slug = 'fresh'"), ("body",))

    def test_hset_keeps_what_is_not_given(self):
        self.assertEqual(self.c.cmd("HSET", "item:1", "price", "7.5"), 0)
        self.assertEqual(self.c.cmd("HGETALL", "item:1"), [b"name", b"one", b"price", b"7.5"])
        self.fails("SOURCEERR", "HSET", "item:1", "color", "red")

    def test_a_locked_database_is_a_definite_failure(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        with self.tarn.connect() as c:
            c.cmd("SELECT", "0")
            c.send(b"*3\r\n$3\r\nSET\r\n$6\r\nname:1\r\n$5\r\nlater\r\n")
            until(lambda: self.stats("shop")["busy"] > 0, "the write is under way", 10)
            db.execute("ROLLBACK")
            self.assertEqual(c.reply(), "OK")
        db.close()
        self.assertEqual(self.c.cmd("GET", "name:1"), b"later")
        self.change("UPDATE item SET name = 'one' WHERE id = 1")

    def test_values_are_only_values(self):
        evil = b"'; DROP TABLE item; --\x00\xff"
        self.assertEqual(self.c.cmd("SET", "page:evil", evil), "OK")
        self.assertEqual(self.row("SELECT count(*) FROM item")[0] > 0, True)
        self.assertEqual(bytes(self.row("SELECT CAST(body AS BLOB) FROM page WHERE slug = 'evil'")[0]), evil)
