"""Many keys at once: MGET, pipelines and transactions over a map with a bulk query; rows as hashes and arrays."""
import json
import sqlite3

from database import DatabaseCase, check_at_rest
from resp import Error, encode


class Bulk(DatabaseCase):
    source_options = "load-timeout 30s"
    maps = """
map name shop "name:{id:int}" "SELECT id, name FROM item WHERE id = $id" as json bulk id bulk-query "SELECT id, name FROM item WHERE id IN (SELECT value FROM json_each($id[]))"
map page shop "page:{slug:slug}" "SELECT body FROM page WHERE slug = $slug" bulk slug bulk-query "SELECT slug, body FROM page WHERE slug IN (SELECT value FROM json_each($slug[]))"
map item shop "item:{id:int}" "SELECT id, name, price FROM item WHERE id = $id" as hash
map below shop "below:{id:int}" "SELECT id, name FROM item WHERE id > 0 AND id < $id ORDER BY id" as jsonrows max-rows 2
"""

    @staticmethod
    def make_database(path):
        DatabaseCase.make_database(path)
        db = sqlite3.connect(path)
        with db:
            db.executemany("INSERT INTO item (id, name, price) VALUES (?, ?, ?)",
                           [(i, f"item {i}", i / 2) for i in range(1000, 7000)])
        db.close()

    def setUp(self):
        super().setUp()
        self.c.cmd("FLUSHALL")

    def tearDown(self):
        check_at_rest(self)

    def test_a_pipeline_of_misses_is_one_batch(self):
        """Rule 7."""
        # One send of a few kilobytes arrives as a whole, so the server meets all of them in one turn.
        self.c.send(b"".join(encode("GET", f"name:{i}") for i in range(1000, 1100)))
        for i in range(1000, 1100):
            self.assertEqual(json.loads(self.c.reply()), {"id": i, "name": f"item {i}"})
        stats = self.stats("name")
        self.assertEqual((stats["batches"], stats["loads"]), (1, 100))

    def test_mget_of_10000_with_5000_cold(self):
        """Rule 42."""
        warm = [f"name:{i}" for i in range(1000, 6000)]
        self.c.cmd("MGET", *warm)
        before = self.stats("name")["batches"]
        self.assertEqual(before, -(-5000 // 128))
        cold = [f"name:{i}" for i in range(100000, 105000)]
        found = self.c.cmd("MGET", *(key for pair in zip(warm, cold) for key in pair))
        self.assertEqual(found[1::2], [None] * 5000)
        self.assertEqual(json.loads(found[0]), {"id": 1000, "name": "item 1000"})
        self.assertEqual(self.stats("name")["batches"] - before, -(-5000 // 128))

    def test_text_keys_and_missing_ones(self):
        self.assertEqual(self.c.cmd("MGET", "page:home", "page:nowhere", "page:home"),
                         [self.c.cmd("GET", "page:home"), None, self.c.cmd("GET", "page:home")])
        self.assertEqual(self.stats("page")["batches"], 1)

    def test_exec_loads_its_keys_in_one_batch(self):
        self.c.cmd("MULTI")
        for i in range(2000, 2050):
            self.c.cmd("GET", f"name:{i}")
        replies = self.c.cmd("EXEC")
        self.assertEqual([json.loads(r)["id"] for r in replies], list(range(2000, 2050)))
        self.assertEqual(self.stats("name")["batches"], 1)

    def test_hashes(self):
        self.assertEqual(self.c.cmd("HGETALL", "item:1"), [b"id", b"1", b"name", b"one", b"price", b"1.5"])
        self.assertEqual(self.c.cmd("HGET", "item:1", "name"), b"one")
        self.assertEqual(self.c.cmd("HMGET", "item:1000", "name", "none"), [b"item 1000", None])
        self.assertEqual(self.c.cmd("HLEN", "item:1"), 3)
        self.assertEqual(self.c.cmd("HEXISTS", "item:1", "price"), 1)
        self.assertEqual(self.c.cmd("TYPE", "item:1"), "hash")
        self.assertEqual(self.c.cmd("HGETALL", "item:999999"), [])
        self.assertEqual(self.c.cmd("HSCAN", "item:1", "0")[0], b"0")
        self.assertEqual(self.stats("item")["loads"], 3)
        error = self.c.cmd("HSET", "item:1", "name", "x")
        self.assertIsInstance(error, Error)
        self.assertTrue(str(error).startswith("SOURCEWRITE"), error)

    def test_a_wrong_type_is_told_without_a_load(self):
        for command in (["GET", "item:5"], ["STRLEN", "item:5"], ["HGET", "name:5", "f"], ["HGETALL", "page:x"]):
            error = self.c.cmd(*command)
            self.assertIsInstance(error, Error)
            self.assertTrue(str(error).startswith("WRONGTYPE"), error)
        self.c.cmd("HGETALL", "item:1")
        self.assertTrue(str(self.c.cmd("GET", "item:1")).startswith("WRONGTYPE"))
        self.assertEqual(self.stats("name")["loads"] + self.stats("page")["loads"], 0)
        self.assertEqual(self.stats("item")["loads"], 1)

    def test_rows_as_an_array(self):
        self.assertEqual(json.loads(self.c.cmd("GET", "below:3")), [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}])
        self.assertIsNone(self.c.cmd("GET", "below:1"))
        self.assertIsInstance(self.c.cmd("GET", "below:2000"), Error)
