"""The changelog of MariaDB: what SOURCE DDL prints is pasted, and commits reach the cache, also those that come late."""
import time

from case import TarnCase
from database import check_at_rest, fields
from mariadb import MariaDB
from tarn import until

SCHEMA = ("CREATE TABLE item (id bigint PRIMARY KEY, name text)",
          "CREATE TABLE page (slug varchar(64) PRIMARY KEY, body text)",
          "CREATE TABLE word (word varchar(64) CHARACTER SET latin1 PRIMARY KEY, at date, many int)")
ROWS = ("INSERT INTO item VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')",
        "INSERT INTO page VALUES ('home', 'Home'), ('about', 'About')")


class Feed(TarnCase):
    """One server and one database for all cases; each sets the rows back."""
    options = "overlap 3s settle-ms 200"

    @classmethod
    def setUpClass(cls):
        cls.server = MariaDB()
        cls.addClassCleanup(cls.server.stop)
        cls.server.execute("SET GLOBAL autocommit = 0")  # whatever the server's default: Tarn reads what is committed
        for sql in SCHEMA + ROWS:
            cls.server.execute(sql)
        cls.config = f"""source shop mysql "{cls.server.dsn}" invalidate changelog changes {cls.options} load-timeout 10s
map item shop "item:{{id:int}}" "SELECT name FROM item WHERE id = $id" ttl 1h refresh-ahead 0 error-hold 0 table item
map page shop "page:{{slug:str}}" "SELECT body FROM page WHERE slug = $slug" ttl 1h refresh-ahead 0 table shop.page
map word shop "word:{{word:str}}" "SELECT many FROM word WHERE word = $word" ttl 1h refresh-ahead 0 table word
"""
        super().setUpClass()
        with cls.tarn.connect() as c:
            text = "".join(c.cmd("SOURCE", "DDL", name).decode() for name in ("item", "page", "word"))
        cls.server.paste(text)
        cls.server.paste(text)  # a second time does no harm

    def setUp(self):
        super().setUp()
        self.until_up()

    def tearDown(self):
        for sql in ("DELETE FROM item", "DELETE FROM page") + ROWS:
            self.server.execute(sql)
        check_at_rest(self)

    def until_up(self):
        until(lambda: self.info_of("shop")["feed"] == b"up", "the feed is up", 20)

    def info_of(self, name):
        return fields(self.c.cmd("SOURCE", "INFO", name))

    def until_value(self, key, value):
        until(lambda: self.c.cmd("GET", key) == value, f"{key} is {value}", 10)

    def quiet(self):
        """Returns when nothing is left to be forgotten a second time."""
        before = None
        while before != (before := [self.info_of(name)["invalidated"] for name in ("item", "page")]):
            time.sleep(0.3)

    def test_update_insert_and_delete_reach_the_cache(self):
        self.assertEqual(self.c.cmd("GET", "item:1"), b"one")
        self.server.execute("UPDATE item SET name = 'changed' WHERE id = 1")
        self.until_value("item:1", b"changed")
        self.assertIsNone(self.c.cmd("GET", "item:500"))
        self.server.execute("INSERT INTO item VALUES (500, 'new')")
        self.until_value("item:500", b"new")
        self.server.execute("DELETE FROM item WHERE id = 500")
        self.until_value("item:500", None)

    def test_a_key_that_moves_touches_both(self):
        self.until_value("item:2", b"two")
        self.assertIsNone(self.c.cmd("GET", "item:602"))
        self.server.execute("UPDATE item SET id = 602 WHERE id = 2")
        self.until_value("item:602", b"two")
        self.until_value("item:2", None)

    def test_keys_of_any_text(self):
        for slug in ("it's; -- $x", "\\", "\u00e9\U0001f600", "two\nlines", "!item"):
            with self.subTest(slug=slug):
                self.assertIsNone(self.c.cmd("GET", "page:" + slug))
                self.server.execute("INSERT INTO page VALUES (%s, 'there')", slug)
                self.until_value("page:" + slug, b"there")

    def test_keys_of_columns_in_another_character_set(self):
        self.assertIsNone(self.c.cmd("GET", "word:\u00e9t\u00e9"))
        self.server.execute("INSERT INTO word VALUES (%s, '2020-02-03', 1)", "\u00e9t\u00e9")
        self.until_value("word:\u00e9t\u00e9", b"1")
        self.server.execute("UPDATE word SET word = %s", "h\u00fctte")
        self.until_value("word:\u00e9t\u00e9", None)
        self.until_value("word:h\u00fctte", b"1")

    def test_the_client_that_tracks_hears_of_it(self):
        self.quiet()  # what the case before did would be told to this client
        with self.tarn.connect() as c:
            c.cmd("HELLO", "3")
            c.cmd("CLIENT", "TRACKING", "ON")
            c.cmd("GET", "page:home")
            self.server.execute("UPDATE page SET body = 'pushed' WHERE slug = 'home'")
            self.assertIn(b"page:home", repr(c.reply()).encode())
            self.assertEqual(c.cmd("GET", "page:home"), b"pushed")

    def test_a_commit_that_hangs_is_seen(self):
        """Its number is below others that were read before it."""
        for key, value in (("item:1", b"one"), ("item:2", b"two"), ("item:3", b"three")):
            self.until_value(key, value)
        slow = self.server.connect()
        slow.autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute("UPDATE item SET name = 'late' WHERE id = 1")
            for i in (2, 3):
                self.server.execute(f"UPDATE item SET name = 'early' WHERE id = {i}")
                self.until_value(f"item:{i}", b"early")
            self.quiet()
            self.assertEqual(self.c.cmd("GET", "item:1"), b"one")
            slow.commit()
        slow.close()
        self.until_value("item:1", b"late")

    def test_a_commit_under_way_when_the_feed_begins_is_seen(self):
        slow = self.server.connect()
        slow.autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute("UPDATE item SET name = 'late' WHERE id = 1")
            self.server.execute("UPDATE item SET name = 'early' WHERE id = 2")
            self.until_value("item:2", b"early")
            gaps = self.info_of("shop")["feed_gaps"]
            self.server.terminate("user = 'tarn_admin'")
            until(lambda: self.info_of("shop")["feed_gaps"] > gaps, "the feed to begin again", 10)
            self.until_up()
            self.until_value("item:1", b"one")
            self.quiet()
            self.assertEqual(self.c.cmd("GET", "item:1"), b"one")
            slow.commit()
        slow.close()
        self.until_value("item:1", b"late")

    def test_each_number_is_reported_once(self):
        """Once at once, and once after settle-ms; rows in holes that were read are not read again."""
        slow = self.server.connect()
        slow.autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute("UPDATE item SET name = 'open' WHERE id = 1")  # keeps a hole open
            self.quiet()
            self.until_value("item:4", b"four")
            before = self.info_of("item")["invalidated"]
            self.server.execute("UPDATE item SET name = 'once' WHERE id = 4")
            self.until_value("item:4", b"once")
            for _ in range(3):
                self.quiet()
                self.assertEqual(self.c.cmd("GET", "item:4"), b"once")
            self.assertLessEqual(self.info_of("item")["invalidated"] - before, 2)
            slow.rollback()
        slow.close()

    def test_no_old_row_after_a_gap(self):
        self.until_value("item:1", b"one")
        gaps = self.info_of("shop")["feed_gaps"]
        thaw = self.server.freeze()
        try:
            until(lambda: self.info_of("shop")["feed"] == b"down", "the feed is down", 20)
        finally:
            thaw()
        self.server.execute("UPDATE item SET name = 'unseen' WHERE id = 1")
        until(lambda: self.info_of("shop")["feed_gaps"] > gaps, "the feed is up again", 20)
        self.until_up()
        self.assertEqual(self.c.cmd("GET", "item:1"), b"unseen")

    def test_no_old_row_after_its_connection_was_killed(self):
        for i in range(3):
            self.until_value("item:1", b"one" if i == 0 else b"round %d" % (i - 1))
            gaps = self.info_of("shop")["feed_gaps"]
            self.assertTrue(self.server.terminate("user = 'tarn_admin'"))
            self.server.execute(f"UPDATE item SET name = 'round {i}' WHERE id = 1")
            until(lambda: self.info_of("shop")["feed_gaps"] > gaps, "the feed is up again", 20)
            self.until_up()
            self.assertEqual(self.c.cmd("GET", "item:1"), b"round %d" % i)

    def test_numbers_that_are_gone_or_begin_again_mean_anything(self):
        self.until_value("page:home", b"Home")
        db = self.server.connect()
        db.autocommit(False)
        with db.cursor() as cursor:
            cursor.execute("UPDATE page SET body = 'unseen' WHERE slug = 'home'")
            cursor.execute("DELETE FROM changes")
            cursor.execute("INSERT INTO changes (`key`) VALUES ('other:1')")
            db.commit()
        db.close()
        self.until_value("page:home", b"unseen")
        self.server.execute("TRUNCATE changes")
        self.server.execute("UPDATE page SET body = 'again' WHERE slug = 'home'")
        self.until_value("page:home", b"again")

    def test_what_people_write_into_the_log(self):
        for value in ("!item", "", "x" * 300000, "a\n\nb", "item:9\nitem:1"):
            with self.subTest(value=value[:10]):
                self.until_value("item:1", b"one")
                before = self.info_of("item")["invalidated"]
                self.server.execute("INSERT INTO changes (`key`) VALUES (%s)", value)
                until(lambda: self.info_of("item")["invalidated"] > before, "the map to be forgotten", 10)
        self.server.execute("INSERT INTO changes (`key`) VALUES (NULL)")

    def test_the_old_rows_of_the_log_may_go(self):
        self.until_value("item:1", b"one")
        self.server.execute("DELETE FROM changes WHERE at <= NOW()")
        self.server.execute("UPDATE item SET name = 'after' WHERE id = 1")
        self.until_value("item:1", b"after")

    def test_many_changes_at_once(self):
        values = ", ".join(f"({i}, 'v{i}')" for i in range(10000, 15000))
        for i in range(10000, 15000, 500):
            self.assertIsNone(self.c.cmd("GET", f"item:{i}"))
        self.server.execute(f"INSERT INTO item VALUES {values}")
        for i in range(10000, 15000, 500):
            self.until_value(f"item:{i}", b"v%d" % i)
