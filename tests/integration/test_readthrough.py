"""Reading an SQLite database through the cache: one load, then hits; shapes, keys, writes, what loads and what not."""
import json

from case import TarnCase
from database import DatabaseCase, check_at_rest, fields
from resp import Error, encode
from tarn import Tarn, until


class ReadThrough(DatabaseCase):
    source_options = "load-timeout 30s"  # none of these is about time, and the machine may be busy
    maps = """
map item shop "item:{id:int}" "SELECT id, name, price FROM item WHERE id = $id" as json ttl 100
map name shop "name:{id:int}" "SELECT name FROM item WHERE id = $id" as string ttl 10m
map doc shop "doc:{id:int}" "SELECT doc FROM item WHERE id = $id" as raw
map picture shop "picture:{id:int}" "SELECT picture FROM item WHERE id = $id" as string
map picjson shop "picjson:{id:int}" "SELECT picture FROM item WHERE id = $id" as json
map page shop "page:{slug:slug}" "SELECT body FROM page WHERE slug = $slug" as string
map any shop "any:{text:str}" "SELECT body FROM page WHERE slug = $text" as string
map field shop "field:{f:enum(name|price)}:{id:uint}" "SELECT CASE $f WHEN 'name' THEN name ELSE price END FROM item WHERE id = $id" as string
map count shop "count:{id:int}" "SELECT count(*) FROM item WHERE id = $id" as string
map brief shop "brief:{id:int}" "SELECT name FROM item WHERE id = $id" as string ttl 200ms negative-ttl 300ms
map never shop "never:{id:int}" "SELECT name FROM item WHERE id = $id" as string negative-ttl 0
map many shop "many:{id:int}" "SELECT name FROM item WHERE id < $id" as string
map noexists shop "noexists:{id:int}" "SELECT name FROM item WHERE id = $id" as string exists-loads no
"""

    def tearDown(self):
        check_at_rest(self)

    def counts(self, name, *keys):
        stats = self.stats(name)
        return tuple(stats[k] for k in keys)

    def test_the_first_get_loads_and_the_second_hits(self):
        expected = {"id": 1, "name": "one", "price": 1.5}
        self.assertEqual(json.loads(self.c.cmd("GET", "item:1")), expected)
        self.assertEqual(self.counts("item", "loads", "hits", "fills"), (1, 0, 1))
        self.assertEqual(json.loads(self.c.cmd("GET", "item:1")), expected)
        self.assertEqual(self.counts("item", "loads", "hits", "fills"), (1, 1, 1))
        self.assertEqual(self.stats("shop")["loads"], 1)

    def test_a_missing_row_is_nil_and_asked_once_per_negative_ttl(self):
        """Rule 27."""
        for _ in range(5):
            self.assertIsNone(self.c.cmd("GET", "brief:99"))
        self.assertEqual(self.counts("brief", "loads", "negatives", "negative_hits"), (1, 1, 4))

        def asked_again():
            self.assertIsNone(self.c.cmd("GET", "brief:99"))
            return self.stats("brief")["loads"] == 2
        until(asked_again, "a second query after negative-ttl", 5)

    def test_negative_ttl_0_asks_every_time(self):
        for _ in range(3):
            self.assertIsNone(self.c.cmd("GET", "never:99"))
        self.assertEqual(self.counts("never", "loads", "negative_hits"), (3, 0))

    def test_a_negative_entry_is_invisible(self):
        """Rule 30."""
        self.assertIsNone(self.c.cmd("GET", "name:99"))
        self.assertEqual(self.c.cmd("DBSIZE"), 0)
        self.assertEqual(self.c.cmd("KEYS", "*"), [])
        self.assertEqual(self.c.cmd("SCAN", "0", "COUNT", "1000"), [b"0", []])
        self.assertIsNone(self.c.cmd("RANDOMKEY"))
        self.assertEqual(self.c.cmd("EXISTS", "name:99"), 0)
        self.assertEqual(self.c.cmd("TYPE", "name:99"), "none")
        self.assertEqual(self.c.cmd("TTL", "name:99"), -2)
        self.assertEqual(self.c.cmd("DEL", "name:99"), 0)
        self.assertEqual(self.stats("name")["loads"], 1)

    def test_only_the_canonical_spelling_of_a_key_is_mapped(self):
        """Rule 33."""
        for key in ("item:042", "item: 1", "item:+1", "item:-0", "item:1.0", "item:1e0", "item:", "item:0x1", "item:1 ",
                    "item:99999999999999999999", "item:9223372036854775808", "item:1\x00", "field:name:-1",
                    "field:other:1", "page:", "page:a b", "page:" + "x" * 129, "any:", "any:" + "x" * 257):
            with self.subTest(key=key):
                self.assertIsNone(self.c.cmd("GET", key))
                self.assertEqual(self.c.cmd("SET", key, "mine"), "OK")
                self.assertEqual(self.c.cmd("GET", key), b"mine")
        self.assertEqual(self.stats("shop")["loads"], 0)
        for key in ("item:0", "item:-7", "item:9223372036854775807", "item:-9223372036854775808"):
            self.c.cmd("GET", key)
        self.assertEqual(self.stats("item")["loads"], 4)

    def test_key_bytes_are_only_ever_values(self):
        """Rule 32."""
        for text in ("it's; -- $slug", "'; DROP TABLE page; --", "$1", "?1", '"', "%", "\\", "é😀", "home' OR '1'='1"):
            reply = self.c.cmd("GET", "any:" + text)
            self.assertEqual(reply, b"tricky" if text == "it's; -- $slug" else None, text)
        self.assertEqual(self.c.cmd("GET", "any:home"), b"<h1>Home</h1>")

    def test_shapes(self):
        golden = {
            "name:1": b"one", "name:3": b"", "name:4": None, "name:99": None,
            "name:5": 'quo"te\\ \x01\n é 😀'.encode(),
            "picture:1": b"\x00\xff\r\n", "picture:2": b"", "picture:3": None,
            "doc:1": b'{"a": [1, 2]}', "doc:3": b"null", "doc:5": b'"s"',
            "item:2": b'{"id":2,"name":"two","price":null}',
            "item:3": b'{"id":3,"name":"","price":9007199254740993}',
            "item:4": b'{"id":4,"name":null,"price":-0.1}',
            "picjson:1": b'{"picture":"AP8NCg=="}', "picjson:3": b'{"picture":null}',
            "count:1": b"1", "count:99": b"0",
            "page:home": b"<h1>Home</h1>", "page:About-us_2": b"about",
            "field:name:2": b"two", "field:price:1": b"1.5", "field:price:2": None,
        }
        for key, expected in golden.items():
            for _ in range(2):  # from the database, then from memory
                self.assertEqual(self.c.cmd("GET", key), expected, key)
        self.assertEqual(json.loads(self.c.cmd("GET", "item:5"))["name"], 'quo"te\\ \x01\n é 😀')

    def test_a_result_of_the_wrong_shape_is_an_error(self):
        """Rule 36."""
        for key in ("doc:2", "many:3"):  # no JSON; two rows for one value
            reply = self.c.cmd("GET", key)
            self.assertIsInstance(reply, Error)
            self.assertTrue(reply.startswith("SOURCEERR "), reply)
            self.assertNotIn("SELECT", reply)
        self.assertEqual(self.c.cmd("DBSIZE"), 0)

    def test_mget_keeps_order_and_duplicates(self):
        """Rule 42."""
        self.c.cmd("SET", "plain", "p")
        self.c.cmd("GET", "name:1")
        reply = self.c.cmd("MGET", "name:2", "plain", "name:1", "name:99", "name:2", "none", "item:042")
        self.assertEqual(reply, [b"two", b"p", b"one", None, b"two", None, None])
        self.assertEqual(self.counts("name", "loads", "fills", "negatives"), (3, 2, 1))

    def test_mget_fails_as_a_whole(self):
        """Rule 42."""
        reply = self.c.cmd("MGET", "name:1", "many:3", "name:2")
        self.assertIsInstance(reply, Error)
        self.assertTrue(reply.startswith("SOURCEERR "), reply)

    def test_mget_of_many_misses(self):
        reply = self.c.cmd("MGET", *(f"count:{i}" for i in range(2000)))
        self.assertEqual(reply, [b"1" if 1 <= i <= 5 else b"0" for i in range(2000)])
        self.assertEqual(self.stats("count")["loads"], 2000)

    def test_reads_that_load(self):
        self.assertEqual(self.c.cmd("STRLEN", "name:1"), 3)
        self.assertEqual(self.c.cmd("GETRANGE", "name:2", "0", "1"), b"tw")
        self.assertEqual(self.c.cmd("SUBSTR", "name:5", "0", "2"), b"quo")
        self.assertEqual(self.c.cmd("EXISTS", "name:-7", "name:99", "name:-7"), 2)
        self.assertEqual(self.stats("name")["loads"], 5)
        self.assertEqual(self.c.cmd("EXISTS", "noexists:1"), 0)
        self.assertEqual(self.stats("noexists")["loads"], 0)

    def test_looks_that_do_not_load(self):
        for words in (["TTL", "name:1"], ["PTTL", "name:1"], ["TYPE", "name:1"], ["TOUCH", "name:1"], ["SCAN", "0"],
                      ["KEYS", "*"], ["DBSIZE"], ["RANDOMKEY"], ["EXPIRETIME", "name:1"], ["EXPIRE", "name:1", "10"],
                      ["PERSIST", "name:1"], ["DEL", "name:1"], ["UNLINK", "name:1"], ["SOURCE", "EXPLAIN", "name:1"]):
            self.assertNotIsInstance(self.c.cmd(*words), Error, words)
        self.assertEqual(self.stats("shop")["loads"], 0)

    def test_a_loaded_key_is_an_ordinary_key_to_look_at(self):
        self.c.cmd("GET", "item:1")
        self.assertEqual(self.c.cmd("TYPE", "item:1"), "string")
        self.assertEqual(self.c.cmd("KEYS", "item:*"), [b"item:1"])
        self.assertEqual(self.c.cmd("DBSIZE"), 1)
        ttl = self.c.cmd("PTTL", "item:1")
        self.assertTrue(88000 <= ttl <= 100000, ttl)  # 100 s, at most 10 % less by jitter

    def test_jitter_only_shortens(self):
        """Rule 14."""
        self.c.cmd("MGET", *(f"count:{i}" for i in range(500)))
        lives = [self.c.cmd("PTTL", f"count:{i}") for i in range(500)]
        self.assertLessEqual(max(lives), 300000)
        self.assertGreaterEqual(min(lives), 0.9 * 300000 - 20000)
        self.assertGreater(max(lives) - min(lives), 0.08 * 300000)

    def test_entries_expire_and_load_again(self):
        self.assertEqual(self.c.cmd("GET", "brief:1"), b"one")

        def loaded_again():
            self.assertEqual(self.c.cmd("GET", "brief:1"), b"one")
            return self.stats("brief")["loads"] == 2
        until(loaded_again, "a second load after ttl", 5)

    def test_writes_are_refused(self):
        self.c.cmd("SET", "plain", "p")
        for words in (["SET", "name:1", "x"], ["SETNX", "name:1", "x"], ["SETEX", "name:1", "10", "x"],
                      ["PSETEX", "name:1", "10", "x"], ["GETSET", "name:1", "x"], ["APPEND", "name:1", "x"],
                      ["SETRANGE", "name:1", "0", "x"], ["INCR", "name:1"], ["DECR", "name:1"], ["INCRBY", "name:1", "2"],
                      ["DECRBY", "name:1", "2"], ["INCRBYFLOAT", "name:1", "2"], ["MSET", "plain", "q", "name:1", "x"],
                      ["MSETNX", "new", "q", "name:1", "x"], ["RENAME", "plain", "name:1"],
                      ["RENAMENX", "plain", "name:1"], ["COPY", "plain", "name:1"], ["SET", "name:1", "x", "NX"]):
            reply = self.c.cmd(*words)
            self.assertIsInstance(reply, Error, words)
            self.assertTrue(reply.startswith("SOURCEWRITE "), (words, reply))
            self.assertIn("shop", reply)
        self.assertEqual(self.c.cmd("GET", "plain"), b"p")
        self.assertEqual(self.c.cmd("EXISTS", "new"), 0)
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")

    def test_writes_are_refused_while_cached_too(self):
        self.c.cmd("GET", "name:1")
        self.assertTrue(self.c.cmd("SET", "name:1", "x").startswith("SOURCEWRITE "))
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")

    def test_del_forgets_and_the_next_get_sees_the_commit(self):
        """Rule 16."""
        self.assertEqual(self.c.cmd("GET", "page:home"), b"<h1>Home</h1>")
        self.change("UPDATE page SET body = 'new' WHERE slug = 'home'")
        self.addCleanup(self.change, "UPDATE page SET body = '<h1>Home</h1>' WHERE slug = 'home'")
        self.assertEqual(self.c.cmd("GET", "page:home"), b"<h1>Home</h1>")
        self.assertEqual(self.c.cmd("DEL", "page:home"), 1)
        with self.tarn.connect() as other:
            self.assertEqual(other.cmd("GET", "page:home"), b"new")

    def test_insert_then_del_shows_the_new_row(self):
        """Rules 16 and 29."""
        self.assertIsNone(self.c.cmd("GET", "page:later"))
        self.change("INSERT INTO page VALUES ('later', 'here')")
        self.addCleanup(self.change, "DELETE FROM page WHERE slug = 'later'")
        self.assertEqual(self.c.cmd("DEL", "page:later"), 0)
        self.assertEqual(self.c.cmd("GET", "page:later"), b"here")

    def test_invalidate(self):
        for what in (["KEY", "name:1"], ["MAP", "name"], ["ALL"]):
            self.c.cmd("GET", "name:1")
            self.c.cmd("GET", "plain")
            before = self.stats("name")["loads"]
            self.assertNotIsInstance(self.c.cmd("SOURCE", "INVALIDATE", *what), Error)
            self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
            self.assertEqual(self.stats("name")["loads"], before + 1, what)

    def test_expire_may_only_shorten(self):
        self.c.cmd("GET", "item:1")
        self.assertEqual(self.c.cmd("EXPIRE", "item:1", "10"), 1)
        self.assertIn(self.c.cmd("TTL", "item:1"), (9, 10))
        self.c.cmd("EXPIRE", "item:1", "100000")
        self.assertLessEqual(self.c.cmd("TTL", "item:1"), 100)
        self.assertEqual(self.c.cmd("PERSIST", "item:1"), 0)

    def test_other_databases_have_their_own_copies(self):
        self.c.cmd("GET", "name:1")
        self.c.cmd("SELECT", "1")
        self.assertEqual(self.c.cmd("DBSIZE"), 0)
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.assertEqual(self.stats("name")["loads"], 2)

    def test_a_pipeline_of_everything_answers_in_order(self):
        """Rule 41."""
        self.c.send(encode("GET", "name:1") + encode("SET", "plain", "p") + encode("GET", "name:99") +
                    encode("GET", "many:3") + encode("GET", "plain") + encode("NOSUCH") + encode("GET", "name:1") +
                    encode("SET", "name:2", "x") + encode("GET", "name:2") + encode("PING"))
        replies = self.c.replies(10)
        self.assertEqual(replies[:3], [b"one", "OK", None])
        self.assertTrue(replies[3].startswith("SOURCEERR "))
        self.assertEqual(replies[4], b"p")
        self.assertTrue(replies[5].startswith("ERR unknown command"))
        self.assertEqual(replies[6], b"one")
        self.assertTrue(replies[7].startswith("SOURCEWRITE "))
        self.assertEqual(replies[8:], [b"two", "PONG"])

    def test_source_commands(self):
        self.assertEqual([fields(s)["name"] for s in self.c.cmd("SOURCE", "LIST")], [b"shop"])
        self.assertEqual(fields(self.c.cmd("SOURCE", "INFO", "shop"))["driver"], b"sqlite")
        self.assertIn(b"name", [fields(m)["name"] for m in self.c.cmd("SOURCE", "MAPS")])
        self.assertEqual(len(self.c.cmd("SOURCE", "MAPS", "pic*")), 2)
        self.assertNotIsInstance(self.c.cmd("SOURCE", "PING", "shop"), Error)
        for words in (["INFO", "nosuch"], ["PING", "nosuch"], ["TEST", "nosuch", "k"], ["INVALIDATE", "MAP", "nosuch"],
                      ["TEST", "name", "other:1"], ["NOSUCH"]):
            self.assertIsInstance(self.c.cmd("SOURCE", *words), Error, words)

    def test_explain(self):
        explained = fields(self.c.cmd("SOURCE", "EXPLAIN", "name:1"))
        self.assertEqual(explained["map"], b"name")
        self.c.cmd("GET", "name:1")
        self.assertNotEqual(fields(self.c.cmd("SOURCE", "EXPLAIN", "name:1")), explained)
        self.assertNotEqual(fields(self.c.cmd("SOURCE", "EXPLAIN", "name:042"))["map"], b"name")

    def test_test_runs_the_query_and_stores_nothing(self):
        reply = self.c.cmd("SOURCE", "TEST", "name", "name:1")
        self.assertIn(b"one", reply if isinstance(reply, bytes) else fields(reply).values())
        self.assertEqual(self.c.cmd("DBSIZE"), 0)

    def test_info_shows_sources_and_maps(self):
        self.c.cmd("GET", "name:1")
        text = self.c.cmd("INFO", "sources").decode()
        self.assertRegex(text, r"(?m)^source_shop:driver=sqlite,state=up,.*loads=1,")
        self.assertRegex(text, r"(?m)^map_name:hits=0,.*misses=1,.*loads=1,")

    def test_a_loaded_read_counts_as_a_miss(self):
        self.c.cmd("CONFIG", "RESETSTAT")
        self.c.cmd("GET", "name:1")
        self.c.cmd("GET", "name:1")
        stats = self.info("stats")
        self.assertEqual((stats["keyspace_hits"], stats["keyspace_misses"]), ("1", "1"))


class Restart(DatabaseCase):
    """Rule 53. What was read from the database in another life of the server, or in another server, is never served as fresh."""
    source_options = "load-timeout 30s"
    maps = """
map name shop "name:{id:int}" "SELECT name FROM item WHERE id = $id" ttl 1h
map item shop "item:{id:int}" "SELECT id, name FROM item WHERE id = $id" as hash ttl 1h
"""

    def test_after_a_restart_everything_is_loaded_again(self):
        keys = {"name:1": b"one", "name:2": b"two", "name:99": None}
        with Tarn(config=self.config) as tarn, tarn.connect() as c:
            for key, value in keys.items():
                self.assertEqual(c.cmd("GET", key), value)
        self.change("UPDATE item SET name = 'changed' WHERE id = 1")
        self.addCleanup(self.change, "UPDATE item SET name = 'one' WHERE id = 1")
        with Tarn(config=self.config) as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("DBSIZE"), 0)
            for key in keys:
                self.assertIsNone(c.cmd("SOURCE", "GET", key, "CACHEONLY"))
            self.assertEqual(c.cmd("GET", "name:1"), b"changed")
            self.assertEqual(fields(c.cmd("SOURCE", "INFO", "name"))["loads"], 1)

    def test_a_dump_of_a_row_is_not_restored_as_one(self):
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.assertEqual(self.c.cmd("HGET", "item:1", "name"), b"one")
        dumps = {key: self.c.cmd("DUMP", key) for key in ("name:1", "item:1")}
        self.assertEqual(self.c.cmd("FLUSHALL"), "OK")
        for key, dump in dumps.items():
            for more in ((), ("REPLACE",), ("REPLACE", "ABSTTL")):
                reply = self.c.cmd("RESTORE", key, 0, dump, *more)
                self.assertIsInstance(reply, Error, key)
                self.assertTrue(reply.startswith("SOURCEWRITE "), reply)
            self.assertEqual(self.c.cmd("EXISTS", "copy:" + key), 0)
            self.assertEqual(self.c.cmd("RESTORE", "copy:" + key, 0, dump), "OK")
        self.assertEqual(self.c.cmd("GET", "copy:name:1"), b"one")
        self.assertTrue(self.c.cmd("RENAME", "copy:name:1", "name:1").startswith("SOURCEWRITE "))
        self.assertTrue(self.c.cmd("COPY", "copy:name:1", "name:1").startswith("SOURCEWRITE "))
        self.assertEqual(self.c.cmd("TTL", "copy:name:1"), -1, "an ordinary key, which no map answers for")
        before = self.stats("name")["loads"]
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.assertEqual(self.stats("name")["loads"], before + 1)


class NoSources(TarnCase):
    def test_source_commands_say_so(self):
        self.assertEqual(self.c.cmd("SOURCE", "LIST"), [])
        self.assertEqual(self.c.cmd("SOURCE", "MAPS"), [])
        self.assertIsInstance(self.c.cmd("SOURCE", "INFO", "shop"), Error)
