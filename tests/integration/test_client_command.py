"""CLIENT: lists, filters, kills, and what a client may ask for itself."""
import re

from case import CompareCase
from resp import encode
from tarn import until


def fields(line):
    return dict(word.split("=", 1) for word in line.decode().strip().split(" "))


class Client(CompareCase):
    def clients(self, *args):
        return [fields(line) for line in self.c.cmd("CLIENT", "LIST", *args).splitlines()]

    def ids(self, *args):
        return {client["id"] for client in self.clients(*args)}

    def wait_gone(self, number):
        until(lambda: str(number) not in self.ids(), "the client to go")

    def test_replies_are_those_of_redis(self):
        self.assert_same("""
            1: CLIENT
            1: CLIENT NOSUCH
            1: CLIENT ID x
            1: CLIENT INFO x
            1: CLIENT LIST TYPE nosuch
            1: CLIENT LIST TYPE
            1: CLIENT LIST TYPE master
            1: CLIENT LIST TYPE replica
            1: CLIENT LIST TYPE slave
            1: CLIENT LIST TYPE normal x
            1: CLIENT LIST ID
            1: CLIENT LIST ID x
            1: CLIENT LIST ID 0
            1: CLIENT LIST ID 99999
            1: CLIENT LIST ID 1 2 TYPE normal
            1: CLIENT LIST NOSUCH x
            1: CLIENT KILL
            1: CLIENT KILL x
            1: CLIENT KILL 1.1.1.1:1
            1: CLIENT KILL ID
            1: CLIENT KILL ID x
            1: CLIENT KILL ID 0
            1: CLIENT KILL ID -1
            1: CLIENT KILL ID 99999
            1: CLIENT KILL TYPE nosuch
            1: CLIENT KILL TYPE pubsub
            1: CLIENT KILL TYPE master
            1: CLIENT KILL ADDR 1.1.1.1:1 LADDR 2.2.2.2:2
            1: CLIENT KILL SKIPME nosuch
            1: CLIENT KILL SKIPME yes TYPE master
            1: CLIENT KILL USER default ID 99999
            1: CLIENT KILL USER nobody
            1: CLIENT KILL NOSUCH x
            1: CLIENT KILL ID 1 TYPE
            1: CLIENT SETNAME "a b"
            1: CLIENT SETNAME
            1: CLIENT GETNAME
            1: CLIENT SETNAME abc
            1: CLIENT GETNAME
            1: CLIENT SETNAME ""
            1: CLIENT GETNAME
            1: CLIENT NO-EVICT nosuch
            1: CLIENT NO-EVICT on
            1: CLIENT NO-EVICT OFF
            1: CLIENT REPLY nosuch
            1: CLIENT REPLY ON
            1: CLIENT TRACKINGINFO
            1: CLIENT TRACKING on BCAST PREFIX a PREFIX b NOLOOP
            1: CLIENT TRACKINGINFO
            1: CLIENT GETREDIR
            1: CLIENT TRACKING OFF
            1: CLIENT GETREDIR
            1: CLIENT UNBLOCK x
            1: CLIENT UNBLOCK 99999
            1: CLIENT UNBLOCK 1 nosuch
            1: CLIENT CACHING YES
            1: CLIENT CACHING nosuch
        """)

    def test_a_line_has_the_fields_of_redis(self):
        expected = list(fields(self.r.cmd("CLIENT", "INFO")))
        got = fields(self.c.cmd("CLIENT", "INFO"))
        self.assertEqual(list(got), expected + ["lib-name", "lib-ver"])
        self.assertRegex(self.c.cmd("CLIENT", "LIST").decode(), re.compile(
            r"^id=\d+ addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ fd=\d+ name= age=\d+ idle=\d+ flags=N db=\d+ sub=0 "
            r"psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=\d+ argv-mem=\d+ multi-mem=0 rbs=\d+ rbp=\d+ obl=0 oll=0 omem=0 "
            r"tot-mem=\d+ events=r cmd=client\|list user=default redir=-1 resp=2 lib-name= lib-ver=$", re.M))
        for c in (self.r, self.c):
            c.cmd("CLIENT", "SETNAME", "me")
            c.cmd("SELECT", "3")
            c.cmd("HELLO", "3")
            c.cmd("SUBSCRIBE", "a")
            c.cmd("PSUBSCRIBE", "b*")
            c.cmd("SSUBSCRIBE", "c")
            c.cmd("MULTI")
            c.cmd("GET", "k")
        lines = []
        for server in (self.redis, self.tarn):
            with server.connect() as other:
                lines += [fields(x) for x in other.cmd("CLIENT", "LIST").splitlines() if b" name=me " in x]
        for name in ("name", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp"):
            self.assertEqual(lines[1][name], lines[0][name], name)
        self.assertEqual(set(lines[1]["flags"]), set(lines[0]["flags"]))
        for c in (self.r, self.c):
            c.cmd("RESET")

    def test_setinfo(self):
        self.assertEqual(self.c.cmd("CLIENT", "SETINFO", "LIB-NAME", "redis-py(x_v1)"), "OK")
        self.assertEqual(self.c.cmd("CLIENT", "SETINFO", "lib-ver", "1.2.3"), "OK")
        mine = fields(self.c.cmd("CLIENT", "INFO"))
        self.assertEqual((mine["lib-name"], mine["lib-ver"]), ("redis-py(x_v1)", "1.2.3"))
        self.assertEqual(self.c.cmd("CLIENT", "SETINFO", "LIB-VER", "a b"),
                         "ERR lib-ver cannot contain spaces, newlines or special characters.")
        self.assertEqual(self.c.cmd("CLIENT", "SETINFO", "nosuch", "x"), "ERR Unrecognized option 'nosuch'")
        self.assertEqual(self.c.cmd("RESET"), "RESET")
        self.assertEqual(self.c.cmd("CLIENT", "SETINFO", "LIB-NAME", ""), "OK")
        self.assertEqual(fields(self.c.cmd("CLIENT", "INFO"))["lib-name"], "")

    def test_list_filters(self):
        others = [self.connect() for _ in range(3)]
        numbers = [str(c.cmd("CLIENT", "ID")) for c in others]
        others[0].cmd("SUBSCRIBE", "a")
        self.assertEqual(self.ids("ID", *numbers), set(numbers))
        self.assertEqual([c["id"] for c in self.clients("ID", numbers[2], "99999", numbers[0])], [numbers[2], numbers[0]])
        self.assertEqual(self.ids("TYPE", "pubsub"), {numbers[0]})
        self.assertTrue(set(numbers[1:]) <= self.ids("TYPE", "NORMAL"))
        self.assertNotIn(numbers[0], self.ids("TYPE", "normal"))

    def test_kill_filters(self):
        for kind in ("id", "addr", "laddr", "old", "type", "user", "maxage"):
            with self.subTest(filter=kind):
                other = self.tarn.connect()
                number = other.cmd("CLIENT", "ID")
                line = fields(other.cmd("CLIENT", "INFO"))
                if kind == "type":
                    other.cmd("SUBSCRIBE", "a")
                if kind == "maxage":
                    until(lambda: int(self.clients("ID", number)[0]["age"]) >= 1, "a second to pass")
                request = {"id": ("ID", number), "addr": ("ADDR", line["addr"]), "old": (line["addr"],),
                           "laddr": ("LADDR", line["laddr"], "ADDR", line["addr"]), "type": ("TYPE", "pubsub"),
                           "user": ("USER", "default", "ID", number), "maxage": ("MAXAGE", 1, "ID", number)}[kind]
                expected = "OK" if kind == "old" else 1
                self.assertEqual(self.c.cmd("CLIENT", "KILL", *request), expected)
                self.wait_gone(number)
                other.until_closed()
                other.close()

    def test_filters_must_all_fit(self):
        other = self.connect()
        number = other.cmd("CLIENT", "ID")
        self.assertEqual(self.c.cmd("CLIENT", "KILL", "ID", number, "TYPE", "pubsub"), 0)
        self.assertEqual(self.c.cmd("CLIENT", "KILL", "ID", number, "ADDR", "1.1.1.1:1"), 0)
        self.assertEqual(self.c.cmd("CLIENT", "KILL", "ID", number, "MAXAGE", 1000), 0)
        self.assertEqual(other.cmd("PING"), "PONG")

    def test_one_is_not_killed_by_oneself_unless_asked(self):
        me = self.c.cmd("CLIENT", "ID")
        self.assertEqual(self.c.cmd("CLIENT", "KILL", "ID", me), 0)
        other = self.connect()
        self.assertEqual(other.cmd("CLIENT", "KILL", "ID", other.cmd("CLIENT", "ID"), "SKIPME", "no"), 1)
        other.until_closed()

    def test_kill_in_a_transaction_answers_first(self):
        """What Sentinel sends when it moves a master."""
        other = self.connect()
        number = other.cmd("CLIENT", "ID")
        self.c.send(encode("MULTI") + encode("CONFIG", "RESETSTAT") + encode("CLIENT", "KILL", "TYPE", "normal") +
                    encode("CLIENT", "KILL", "TYPE", "pubsub") + encode("EXEC"))
        replies = [self.c.reply() for _ in range(5)]
        self.assertEqual(replies[:4], ["OK"] + ["QUEUED"] * 3)
        self.assertGreaterEqual(replies[4][1], 1)
        self.wait_gone(number)

    def test_no_touch_leaves_the_idle_time(self):
        self.c.cmd("SET", "k", "v")
        until(lambda: self.c.cmd("OBJECT", "IDLETIME", "k") >= 1, "a second to pass")
        self.assertEqual(self.c.cmd("CLIENT", "NO-TOUCH", "ON"), "OK")
        self.assertEqual(self.c.cmd("GET", "k"), b"v")
        self.assertGreaterEqual(self.c.cmd("OBJECT", "IDLETIME", "k"), 1)
        self.assertIn("T", fields(self.c.cmd("CLIENT", "INFO"))["flags"])
        self.assertEqual(self.c.cmd("CLIENT", "NO-TOUCH", "off"), "OK")
        self.assertEqual(self.c.cmd("GET", "k"), b"v")
        self.assertEqual(self.c.cmd("OBJECT", "IDLETIME", "k"), 0)

    def test_replies_can_be_turned_off(self):
        for c in (self.r, self.c):
            c.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "a", "1") + encode("GET", "a") +
                   encode("CLIENT", "REPLY", "ON") + encode("CLIENT", "REPLY", "SKIP") + encode("GET", "a") +
                   encode("GET", "a") + encode("CLIENT", "REPLY", "skip") + encode("nosuch") + encode("PING"))
        self.assertEqual([self.c.raw_reply() for _ in range(3)], [self.r.raw_reply() for _ in range(3)])
