"""An SQLite database for read-through tests and the case that serves it."""
import os
import shutil
import sqlite3
import tempfile

from case import TarnCase
from tarn import until

SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price NUMERIC, doc TEXT, picture BLOB);
CREATE TABLE page (slug TEXT PRIMARY KEY, body TEXT);
"""
ITEMS = [
    (1, "one", 1.5, '{"a": [1, 2]}', b"\x00\xff\r\n"),
    (2, "two", None, "not json", b""),
    (3, "", 9007199254740993, "null", None),
    (4, None, -0.1, "[]", b"x"),
    (5, 'quo"te\\ \x01\n é 😀', 1e300, '"s"', b"y"),
    (-7, "minus seven", 0, "1", b"z"),
]
PAGES = [("home", "<h1>Home</h1>"), ("About-us_2", "about"), ("it's; -- $slug", "tricky")]


class DatabaseCase(TarnCase):
    """`maps` is the configuration behind the line that names the source `shop`; the database is self.db."""
    maps = ""
    source_options = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tarn-db-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.path = os.path.join(cls.folder, "shop.db")
        cls.make_database(cls.path)
        cls.config = f"source shop sqlite {cls.path} {cls.source_options}\n{cls.maps}"
        super().setUpClass()

    @staticmethod
    def make_database(path):
        db = sqlite3.connect(path)
        with db:
            db.executescript(SCHEMA)
            db.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?)", ITEMS)
            db.executemany("INSERT INTO page VALUES (?, ?)", PAGES)
        db.close()

    def setUp(self):
        super().setUp()
        self.assertEqual(self.c.cmd("SOURCE", "RESETSTAT"), "OK")

    def change(self, sql, *values):
        """One committed statement from outside."""
        db = sqlite3.connect(self.path, timeout=20)
        with db:
            db.execute(sql, values)
        db.close()

    def stats(self, name):
        """The counters of a source or map as numbers."""
        reply = self.c.cmd("SOURCE", "INFO", name)
        return fields(reply)


def fields(reply):
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2])
    return {key.decode(): value for key, value in pairs}


def check_identities(case, stats):
    """Rule 54. What must add up at rest, whatever happened before."""
    case.assertEqual(stats["loads"], sum(stats[k] for k in ("fills", "negatives", "voided", "nofill", "errors",
                                                            "timeouts")), stats)
    for name, value in stats.items():
        if isinstance(value, int):
            case.assertGreaterEqual(value, 0, name)


def check_at_rest(case):
    """The identities of all maps, once no query runs: a command that failed early leaves loads under way behind."""
    until(lambda: all(source["busy"] == 0 and source["queue"] == 0
                      for source in map(fields, case.c.cmd("SOURCE", "LIST"))), "all queries to end")
    for reply in case.c.cmd("SOURCE", "MAPS"):
        check_identities(case, fields(reply))
