"""Feeds of SQLite: what SOURCE DDL prints is pasted, and commits of others reach the cache and its clients."""
import os
import sqlite3

from database import DatabaseCase, check_at_rest
from tarn import until


class Changelog(DatabaseCase):
    source_options = "invalidate changelog changes on-gap expire load-timeout 30s"
    maps = """
map item shop "item:{id:int}" "SELECT name FROM item WHERE id = $id" ttl 1h refresh-ahead 0 table item
map page shop "page:{slug:slug}" "SELECT body FROM page WHERE slug = $slug" ttl 1h refresh-ahead 0 table page
"""

    @staticmethod
    def make_database(path):
        DatabaseCase.make_database(path)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL)")

    def setUp(self):
        super().setUp()
        self.paste()
        self.until_up()

    def tearDown(self):
        check_at_rest(self)

    def paste(self):
        with sqlite3.connect(self.path, timeout=20) as db:
            for name in ("item", "page"):
                db.executescript(self.c.cmd("SOURCE", "DDL", name).decode())

    def until_up(self):
        until(lambda: self.stats("shop")["feed"] == b"up", "the feed is up", 10)

    def until_value(self, key, value):
        until(lambda: self.c.cmd("GET", key) == value, f"{key} is {value}", 10)

    def test_update_insert_and_delete_reach_the_cache(self):
        """Rule 17."""
        self.change("UPDATE item SET name = 'one' WHERE id = 1")
        self.until_value("item:1", b"one")
        self.change("UPDATE item SET name = 'changed' WHERE id = 1")
        self.until_value("item:1", b"changed")
        self.assertIsNone(self.c.cmd("GET", "item:500"))
        self.change("INSERT INTO item (id, name) VALUES (500, 'new')")
        self.until_value("item:500", b"new")
        self.change("DELETE FROM item WHERE id = 500")
        self.until_value("item:500", None)
        self.assertEqual(self.stats("shop")["feed_gaps"], 0)

    def test_a_key_that_moves_touches_both(self):
        self.change("INSERT INTO item (id, name) VALUES (600, 'mover')")
        self.until_value("item:600", b"mover")
        self.assertIsNone(self.c.cmd("GET", "item:601"))
        self.change("UPDATE item SET id = 601 WHERE id = 600")
        self.until_value("item:601", b"mover")
        self.until_value("item:600", None)
        self.change("DELETE FROM item WHERE id = 601")

    def test_the_client_that_tracks_hears_of_it(self):
        """Rule 26."""
        with self.tarn.connect() as c:
            c.cmd("HELLO", "3")
            c.cmd("CLIENT", "TRACKING", "ON")
            c.cmd("GET", "page:home")
            self.change("UPDATE page SET body = 'pushed' WHERE slug = 'home'")
            push = c.reply()
            self.assertIn(b"page:home", repr(push).encode())
            self.assertEqual(c.cmd("GET", "page:home"), b"pushed")

    def test_numbers_that_are_gone_mean_anything(self):
        self.c.cmd("GET", "page:home")
        with sqlite3.connect(self.path, timeout=20) as db:  # one commit
            db.execute("UPDATE page SET body = 'unseen' WHERE slug = 'home'")
            db.execute("DELETE FROM changes")
        self.until_value("page:home", b"unseen")


class DataVersion(DatabaseCase):
    source_options = "invalidate data-version load-timeout 30s"
    maps = """
map item shop "item:{id:int}" "SELECT name FROM item WHERE id = $id" ttl 1h refresh-ahead 0
"""

    def test_every_commit_ends_all_values(self):
        until(lambda: self.stats("shop")["feed"] == b"up", "the feed is up", 10)
        self.assertEqual(self.c.cmd("GET", "item:1"), b"one")
        self.change("UPDATE item SET name = 'other' WHERE id = 1")
        until(lambda: self.c.cmd("GET", "item:1") == b"other", "the new name", 10)

    def test_another_file_of_that_name_is_a_gap(self):
        until(lambda: self.stats("shop")["feed"] == b"up", "the feed is up", 10)
        self.c.cmd("GET", "item:2")
        fresh = self.path + ".new"
        DatabaseCase.make_database(fresh)
        with sqlite3.connect(fresh) as db:
            db.execute("UPDATE item SET name = 'replaced' WHERE id = 2")
        os.rename(fresh, self.path)
        until(lambda: self.c.cmd("GET", "item:2") == b"replaced", "the row of the new file", 10)
