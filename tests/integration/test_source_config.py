"""SOURCE ADD, MAP, SET, DEL: configuration while the server runs."""
import os
import threading
import unittest

from case import TarnCase
from database import ITEMS, DatabaseCase, check_at_rest, fields
from mariadb import MariaDB
from resp import Error, encode
from tarn import Tarn, until

ITEM = "SELECT name FROM item WHERE id = $id"


class Refused(TarnCase):
    def test_by_default(self):
        for line in (("ADD", "a", "sqlite", "/x"), ("MAP", "m", "a", "k:{id:int}", ITEM), ("SET", "a", "pool", "1"),
                     ("DEL", "a")):
            self.assertIn("enable-source-command", self.c.cmd("SOURCE", *line))

    def test_only_administrators(self):
        for name in ("add", "map", "set", "del"):
            (info,) = self.c.cmd("COMMAND", "INFO", f"source|{name}")
            self.assertIn("@admin", info[6])
            self.assertIn("@dangerous", info[6])


class AtRunTime(DatabaseCase):
    source_options = ""
    maps = "enable-source-command local"

    def setUp(self):
        super().setUp()
        self.ok("MAP", "item", "shop", "item:{id:int}", ITEM, "error-hold", "0")

    def tearDown(self):
        check_at_rest(self)
        self.ok("DEL", "item")

    def ok(self, *words):
        self.assertEqual(self.c.cmd("SOURCE", *words), "OK")

    def test_a_map_works_at_once_and_goes_at_once(self):
        self.assertEqual(self.c.cmd("GET", "item:1"), b"one")
        self.ok("DEL", "item")
        self.assertIsNone(self.c.cmd("GET", "item:1"))
        self.assertEqual(self.c.cmd("SET", "item:1", "own"), "OK")
        self.c.cmd("DEL", "item:1")
        self.ok("MAP", "item", "shop", "item:{id:int}", "SELECT 'new ' || name FROM item WHERE id = $id")
        self.assertEqual(self.c.cmd("GET", "item:1"), b"new one")

    def test_a_source_comes_and_goes(self):
        other = self.path + ".other"
        DatabaseCase.make_database(other)
        self.addCleanup(os.unlink, other)
        for i in range(5):
            self.ok("ADD", "other", "sqlite", other, "pool", "3", "invalidate", "data-version")
            self.ok("MAP", "page", "other", "page:{slug:slug}", "SELECT body FROM page WHERE slug = $slug", "ttl", "1h")
            self.assertEqual(self.c.cmd("GET", "page:home"), b"<h1>Home</h1>")
            self.assertIn("loads from this source", self.c.cmd("SOURCE", "DEL", "other"))
            self.ok("DEL", "page")
            self.ok("DEL", "other")
            self.assertEqual([row[1] for row in self.c.cmd("SOURCE", "LIST")], [b"shop"], i)

    def test_a_bad_query_is_refused(self):
        for query in ("SELECT nothing FROM nowhere WHERE id = $id", "DELETE FROM item WHERE id = $id", "SELECT $id; SELECT 1"):
            reply = self.c.cmd("SOURCE", "MAP", "bad", "shop", "bad:{id:int}", query)
            self.assertTrue(reply.startswith("SOURCEERR"), reply)
            self.assertIn("no map named", self.c.cmd("SOURCE", "TEST", "bad", "bad:1"))
        self.assertTrue(self.c.cmd("SOURCE", "MAP", "bad", "shop", "bad:{id:int}", "SELECT id FROM item WHERE id = $id", "as", "hash",
                                   "ttl-column", "none").startswith("SOURCEERR"))

    def test_a_map_of_a_database_that_is_away_is_added(self):
        away = self.path + ".away"
        self.ok("ADD", "away", "sqlite", away)
        self.ok("MAP", "bad", "away", "bad:{id:int}", ITEM)
        self.assertTrue(self.c.cmd("GET", "bad:1").startswith("SOURCEDOWN"))
        self.ok("DEL", "bad")
        self.ok("DEL", "away")

    def test_maps_come_and_go_under_readers(self):
        """Readers see the row, no row, or that the map went, and nothing else."""
        done = threading.Event()
        wrong = []

        def read():
            with self.tarn.connect() as c:
                while not done.is_set():
                    c.send(encode("GET", "item:1") + encode("GET", "item:2") + encode("MGET", "item:1", "item:2"))
                    for reply in c.replies(3):
                        fine = reply in (b"one", b"two", None) or (isinstance(reply, Error) and reply.startswith("SOURCEDOWN")) \
                            or (isinstance(reply, list) and all(value in (b"one", b"two", None) for value in reply))
                        if not fine:
                            wrong.append(reply)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(100):
            self.ok("DEL", "item")
            self.ok("MAP", "item", "shop", "item:{id:int}", ITEM, "error-hold", "0")
        done.set()
        for reader in readers:
            reader.join()
        self.assertEqual(wrong, [])

    def test_the_dsn_is_not_in_the_slow_log(self):
        self.assertEqual(self.c.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0"), "OK")
        self.ok("ADD", "secret", "mysql", "host=127.0.0.1 port=1 password=geheim")
        self.assertNotIn("geheim", str(self.c.cmd("SLOWLOG", "GET")))
        self.assertEqual(self.c.cmd("CONFIG", "SET", "slowlog-log-slower-than", "10000"), "OK")
        self.ok("DEL", "secret")


class Rewritten(DatabaseCase):
    maps = f"""enable-source-command yes
map item shop "item:{{id:int}}" "{ITEM}" ttl 1h
map page shop "page:{{slug:slug}}" "SELECT body FROM page WHERE slug = $slug"
"""

    def file(self):
        with open(os.path.join(self.tarn.dir, "tarn.conf"), encoding="utf-8") as f:
            return f.read()

    def test_the_file_says_what_was_changed(self):
        before = self.file()
        for words in (("SET", "item", "ttl", "2h"), ("ADD", "other", "sqlite", self.path, "pool", "1"), ("DEL", "page"),
                      ("MAP", "name", "other", "name:{id:int}", ITEM, "as", "json", "negative-ttl", "7s")):
            self.assertEqual(self.c.cmd("SOURCE", *words), "OK")
        self.assertEqual(self.c.cmd("CONFIG", "REWRITE"), "OK")
        after = self.file()
        gone = [line for line in before.splitlines() if line not in after.splitlines()]
        self.assertEqual([line.split()[:2] for line in gone], [["map", "page"]])
        new = [line for line in after.splitlines() if line.split()[:1] in (["source"], ["map"], ["map-set"]) and line not in before]
        self.assertEqual(new, [f"source other sqlite {self.path} pool 1", "map-set item ttl 2h",
                               f'map name other name:{{id:int}} "{ITEM}" as json negative-ttl 7s'])
        with Tarn(config=after) as again, again.connect() as c:
            self.assertEqual(c.cmd("GET", "name:1"), b'{"name":"one"}')
            self.assertEqual([row[1] for row in c.cmd("SOURCE", "MAPS")], [b"item", b"name"])
        self.assertEqual(self.c.cmd("CONFIG", "REWRITE"), "OK")
        self.assertEqual(self.file(), after)


class WarmFile(DatabaseCase):
    maps = f"""enable-source-command yes
map item shop "item:{{id:int}}" "{ITEM}" ttl 1h"""

    def tearDown(self):
        check_at_rest(self)

    def write(self, data):
        path = os.path.join(self.folder, "keys")
        with open(path, "wb") as f:
            f.write(data)
        return path

    def status(self):
        return fields(self.c.cmd("SOURCE", "WARM", "STATUS"))

    def warm(self, path, state, rate="1000000"):
        self.assertEqual(self.c.cmd("SOURCE", "WARM", "item", "FILE", path, "RATE", rate), "OK")
        until(lambda: self.status()["state"] == state, f"the warm-up to be {state}")
        return self.status()

    def counts(self, path):
        status = self.warm(path, b"done")
        return {name: status[name] for name in ("total", "loaded", "absent", "failed", "cached", "skipped")}

    def test_lines_are_keys(self):
        long = b"item:" + b"1" * 200000
        path = self.write(b"item:1\nitem:2\r\n\nitem:99\nother:1\nitem:01\n\x00\xff\n" + long + b"\nitem:3\nitem:1\nitem:5")
        self.assertEqual(self.counts(path), {"total": 6, "loaded": 4, "absent": 1, "failed": 0, "cached": 1, "skipped": 4})
        self.assertEqual(self.c.cmd("SOURCE", "GET", "item:5", "CACHEONLY"), ITEMS[4][1].encode())
        self.assertEqual(self.counts(self.write(b""))["total"], 0)

    def test_many_lines_are_read_as_they_are_needed(self):
        count = 100000
        path = self.write(b"".join(b"item:%d\n" % (i + 1000000) for i in range(count)))
        before = self.stats("item")["loads"]
        self.assertEqual(self.c.cmd("SOURCE", "WARM", "item", "FILE", path, "RATE", "2000"), "OK")
        until(lambda: self.stats("item")["loads"] - before > 200, "some to be loaded")
        status = self.status()
        self.assertEqual(status["state"], b"loading")
        self.assertLess(status["total"], count)
        self.assertIn("under way", self.c.cmd("SOURCE", "WARM", "item", "FILE", path))
        self.assertEqual(self.c.cmd("SOURCE", "WARM", "STOP"), 1)
        until(lambda: self.c.cmd("SOURCE", "WARM", "STOP") == 0, "the last loads to end")
        self.assertEqual(self.status()["state"], b"stopped")

    def test_every_line_of_a_large_file_is_read_once(self):
        count = 20000
        path = self.write(b"".join(b"item:%d\n" % (i + 2000000) for i in range(count)))
        self.assertEqual(self.counts(path), {"total": count, "loaded": 0, "absent": count, "failed": 0, "cached": 0, "skipped": 0})

    def test_what_cannot_be_read_fails(self):
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        for path in ("/nowhere/keys", self.folder, fifo, "/dev/zero"):
            with self.subTest(path=path):
                self.warm(path, b"failed")
                self.assertEqual(self.c.cmd("SOURCE", "WARM", "STOP"), 0)
        for path in ("", "x" * 300, "a\0b"):
            self.assertIn("a path has", self.c.cmd("SOURCE", "WARM", "item", "FILE", path))
        self.assertIn("cannot read its file", self.tarn.log())

    def test_it_is_refused_like_other_ways_to_files(self):
        with Tarn(config=f"source shop sqlite {self.path}\nmap item shop \"item:{{id:int}}\" \"{ITEM}\"") as tarn, tarn.connect() as c:
            self.assertIn("enable-source-command", c.cmd("SOURCE", "WARM", "item", "FILE", self.path))


class Hung(unittest.TestCase):
    """The database does not answer: its source goes all the same, and nobody waits for long."""

    def test_source_of_a_frozen_database_is_deleted(self):
        with MariaDB() as server, Tarn(config="enable-source-command yes") as tarn, tarn.connect() as c, tarn.connect() as d:
            server.execute("CREATE TABLE item (id bigint PRIMARY KEY, name text)")
            server.execute("INSERT INTO item VALUES (1, 'one')")
            for _ in range(2):
                self.assertEqual(c.cmd("SOURCE", "ADD", "shop", "mysql", server.dsn, "load-timeout", "20s"), "OK")
                self.assertEqual(c.cmd("SOURCE", "MAP", "item", "shop", "item:{id:int}", ITEM), "OK")
                self.assertEqual(c.cmd("GET", "item:1"), b"one")
                thaw = server.freeze()
                try:
                    d.send(encode("GET", "item:2"))
                    until(lambda: c.cmd("SOURCE", "INFO", "shop")[c.cmd("SOURCE", "INFO", "shop").index(b"busy") + 1] == 1,
                          "the query to be sent")
                    self.assertEqual(c.cmd("SOURCE", "DEL", "item"), "OK")
                    self.assertTrue(d.reply().startswith("SOURCEDOWN"))
                    self.assertEqual(c.cmd("SOURCE", "DEL", "shop"), "OK")
                    self.assertEqual(c.cmd("PING"), "PONG")
                finally:
                    thaw()
