"""CLIENT TRACKING as redis-server does it, and what it means for loaded rows."""
import socket
import unittest

from case import CompareCase, TarnCase
from resp import Push, encode
from tarn import until

HELLO3 = "HELLO 3"


class Pair:
    """The same connections to both servers, whose bytes are compared. `ids` stand for client ids: %1 in a request is
    the id of connection 1."""

    def __init__(self, case):
        self.case = case
        self.links = {}

    def both(self, number):
        if number not in self.links:
            self.links[number] = (self.case.redis.connect(), self.case.connect())
            self.case.addCleanup(self.links[number][0].close)
        return self.links[number]

    def ids(self, number):
        return [link.cmd("CLIENT", "ID") for link in self.both(number)]

    def send(self, number, request, replies=1):
        words = request.split()
        for side, link in enumerate(self.both(number)):
            link.send(encode(*(w.replace("%" + w[1:], str(self.ids(int(w[1:]))[side])) if w.startswith("%") else w
                               for w in words)))
        return self.expect(number, replies, request)

    def expect(self, number, replies=1, what="a push"):
        got = None
        for _ in range(replies):
            expected, got = (link.reply_with_bytes() for link in self.both(number))
            if "%" not in what and "hello" not in what.lower() and "getredir" not in what.lower():
                self.case.assertEqual(got[1], expected[1], what)
        return got[0] if got else None

    def quiet(self, number):
        for link in self.both(number):
            self.case.assertTrue(link.is_quiet(), f"connection {number}")


class LikeRedis(CompareCase):
    def setUp(self):
        super().setUp()
        self.p = Pair(self)

    def test_a_changed_key_is_told_once(self):
        p = self.p
        p.send(1, HELLO3)
        p.send(1, "CLIENT TRACKING ON")
        p.send(1, "GET a")
        p.send(2, "SET a 1")
        self.assertEqual(p.expect(1), Push([b"invalidate", [b"a"]]))
        p.send(2, "SET a 2")
        p.quiet(1)
        p.send(1, "MGET a b")
        p.send(2, "MSET a 1 b 2 c 3")
        p.expect(1, 2)
        p.send(1, "CLIENT TRACKING OFF")
        p.send(1, "GET a")
        p.send(2, "SET a 1")
        p.quiet(1)

    def test_own_changes_come_behind_the_reply_unless_noloop(self):
        p = self.p
        p.send(1, HELLO3)
        p.send(1, "CLIENT TRACKING ON")
        p.send(1, "GET a")
        p.send(1, "SET a 1", 2)
        p.send(1, "GET a")
        p.send(1, "MULTI")
        p.send(1, "SET a 2")
        p.send(1, "GET a")
        p.send(1, "EXEC")
        p.expect(1)
        p.send(1, "CLIENT TRACKING ON NOLOOP")
        p.send(1, "GET b")
        p.send(1, "SET b 1")
        p.quiet(1)
        p.send(1, "GET b")
        p.send(2, "SET b 2")
        p.expect(1)

    def test_what_invalidates(self):
        p = self.p
        p.send(1, HELLO3)
        p.send(1, "CLIENT TRACKING ON")
        for change in ("SET a 1", "APPEND a x", "SETRANGE a 0 y", "DEL a", "INCR a", "EXPIRE a 100", "PERSIST a", "RENAME a b",
                       "COPY b a", "RENAME b a", "GETDEL a", "SETNX a 1", "GETEX a EX 100", "SETBIT a 1 1", "EXPIRE a -1"):
            p.send(1, "GET a")
            p.send(2, change)
            p.expect(1, 1, change)
        p.send(1, "GET a")
        for other in ("GET a", "DEL a", "EXPIRE a 100", "SET b 1"):
            p.send(2, other)
        p.quiet(1)

    def test_flush(self):
        p = self.p
        for number in (1, 2):
            p.send(number, HELLO3)
        p.send(1, "CLIENT TRACKING ON")
        p.send(2, "CLIENT TRACKING ON BCAST")
        p.send(1, "GET a")
        p.send(3, "FLUSHALL")
        self.assertEqual(p.expect(1), Push([b"invalidate", None]))
        p.expect(2)
        p.send(3, "FLUSHDB")
        p.expect(1)
        p.expect(2)
        p.send(1, "FLUSHDB", 2)

    def test_redirect_to_a_subscriber(self):
        p = self.p
        p.send(2, "SUBSCRIBE __redis__:invalidate")
        with_id = [link.cmd("CLIENT", "LIST", "TYPE", "pubsub").decode().split(" ")[0][3:] for link in (self.r, self.c)]
        for link, number in zip(p.both(1), with_id):
            self.assertEqual(link.cmd("CLIENT", "TRACKING", "ON", "REDIRECT", number), "OK")
            self.assertEqual(link.cmd("CLIENT", "GETREDIR"), int(number))
        p.send(1, "GET a")
        p.send(3, "SET a 1")
        self.assertEqual(p.expect(2), [b"message", b"__redis__:invalidate", [b"a"]])
        p.send(3, "FLUSHALL")
        p.expect(2)
        p.send(1, "GET a")
        for link in p.both(2):
            link.close()
        for link in (self.r, self.c):
            until(lambda: b"sub=1" not in link.cmd("CLIENT", "LIST"), "the subscriber to go")
        p.send(3, "SET a 2")
        p.quiet(1)
        for link in p.both(1):
            self.assertIn("broken_redirect", str(link.cmd("CLIENT", "TRACKINGINFO")))

    def test_redirect_to_a_resp3_client_that_goes(self):
        p = self.p
        for number in (1, 2):
            p.send(number, HELLO3)
        p.send(1, "CLIENT TRACKING ON REDIRECT %2")
        p.send(1, "GET a")
        p.send(3, "SET a 1")
        p.expect(2)
        ids = p.ids(2)
        p.send(1, "GET a")
        for link in p.both(2):
            link.close()
        for link, number in zip((self.r, self.c), ids):
            until(lambda: link.cmd("CLIENT", "LIST", "ID", number) == b"", "the client to go")
        p.send(3, "SET a 2")
        for link, number in zip(p.both(1), ids):
            self.assertEqual(link.reply(), Push([b"tracking-redir-broken", number]))

    def test_bcast(self):
        p = self.p
        p.send(1, HELLO3)
        p.send(1, "CLIENT TRACKING ON BCAST PREFIX a PREFIX bc")
        p.send(2, "SET a1 1")
        p.expect(1)
        p.send(2, "SET b1 1")
        p.send(2, "SET bcd 1")
        p.expect(1)
        p.send(2, "MSET a2 1 a1 2 a2 3")
        for link in p.both(1):
            self.assertEqual(sorted(link.reply()[1]), [b"a1", b"a2"])
        p.send(1, "SET a1 3", 2)
        p.send(2, "DEL a1")
        p.expect(1)
        p.quiet(1)
        p.send(1, "CLIENT TRACKING OFF")
        p.send(1, "CLIENT TRACKING ON BCAST NOLOOP")
        p.send(1, "SET x 1")
        p.quiet(1)
        p.send(2, "SET x 1")
        p.expect(1)

    def test_optin_and_optout(self):
        p = self.p
        p.send(1, HELLO3)
        p.send(1, "CLIENT TRACKING ON OPTIN")
        p.send(1, "GET a")
        p.send(2, "SET a 1")
        p.quiet(1)
        p.send(1, "CLIENT CACHING YES")
        p.send(1, "CLIENT TRACKINGINFO")
        p.send(1, "GET a")
        p.send(1, "CLIENT TRACKINGINFO")
        p.send(1, "GET b")
        p.send(2, "MSET a 1 b 1")
        p.expect(1)
        p.quiet(1)
        for words in ("CLIENT CACHING YES", "MULTI", "GET a", "GET b", "EXEC"):
            p.send(1, words)
        p.send(2, "MSET a 1 b 1")
        p.expect(1, 2)
        p.send(1, "CLIENT CACHING NO")
        p.send(1, "CLIENT TRACKING OFF")
        p.send(1, "CLIENT TRACKING ON OPTOUT")
        p.send(1, "CLIENT CACHING YES")
        p.send(1, "CLIENT CACHING NO")
        p.send(1, "CLIENT TRACKINGINFO")
        p.send(1, "GET a")
        p.send(1, "GET b")
        p.send(2, "MSET a 1 b 1")
        p.expect(1)
        p.quiet(1)

    def test_refusals_and_descriptions(self):
        p = self.p
        for words in ("CLIENT TRACKING", "CLIENT TRACKING ON FOO", "CLIENT TRACKING MAYBE", "CLIENT TRACKING ON REDIRECT x",
                      "CLIENT TRACKING ON REDIRECT 999999", "CLIENT TRACKING ON PREFIX a", "CLIENT TRACKING ON BCAST OPTIN",
                      "CLIENT TRACKING ON OPTIN OPTOUT", "CLIENT CACHING YES", "CLIENT CACHING", "CLIENT GETREDIR",
                      "CLIENT TRACKINGINFO", "CLIENT TRACKING ON BCAST PREFIX foo PREFIX foobar",
                      "CLIENT TRACKING ON BCAST PREFIX foo", "CLIENT TRACKINGINFO", "CLIENT TRACKING ON BCAST PREFIX fo",
                      "CLIENT TRACKING ON BCAST PREFIX bar", "CLIENT TRACKING ON", "CLIENT TRACKING OFF", "CLIENT TRACKING OFF",
                      "CLIENT TRACKING ON BCAST", "CLIENT TRACKINGINFO", "CLIENT TRACKING ON BCAST PREFIX x", "RESET",
                      "CLIENT TRACKINGINFO", "CLIENT TRACKING ON OPTIN", "CLIENT TRACKING ON OPTOUT", "CLIENT CACHING NO",
                      "CLIENT CACHING FOO", "CLIENT TRACKING ON OPTIN NOLOOP", "CLIENT TRACKINGINFO", "CLIENT GETREDIR"):
            p.send(1, words)

    def test_an_expired_key(self):
        p = self.p
        p.send(1, HELLO3)
        p.send(1, "CLIENT TRACKING ON")
        p.send(2, "SET a 1 PX 20")
        p.send(1, "GET a")
        self.assertEqual(p.expect(1), Push([b"invalidate", [b"a"]]))


class Table(TarnCase):
    def setUp(self):
        super().setUp()
        self.t = self.connect()
        self.t.cmd("HELLO", "3")
        self.assertEqual(self.t.cmd("CLIENT", "TRACKING", "ON"), "OK")

    def test_it_is_bounded(self):
        self.c.cmd("CONFIG", "SET", "tracking-table-max-keys", "10")
        self.addCleanup(lambda: self.c.cmd("CONFIG", "SET", "tracking-table-max-keys", "1000000"))
        for n in range(10):
            self.assertIsNone(self.t.cmd("GET", f"k{n}"))
        self.assertEqual(self.info("stats")["tracking_total_keys"], "10")
        self.t.send(encode("GET", "one more"))
        self.assertEqual(sorted(map(str, self.t.replies(2))), sorted(map(str, [None, Push([b"invalidate", [b"k0"]])])))
        self.assertEqual(self.info("stats")["tracking_total_keys"], "10")
        self.assertEqual(self.info("clients")["tracking_clients"], "1")

    def test_a_client_that_goes_costs_nothing(self):
        for start in range(0, 20000, 1000):
            self.t.cmd("MGET", *(f"k{n}" for n in range(start, start + 1000)))
        self.assertEqual(self.info("stats")["tracking_total_keys"], "20000")
        before = int(self.info("memory")["used_memory"])
        self.t.close()
        until(lambda: self.info("clients")["tracking_clients"] == "0", "the client to go")
        self.assertEqual(self.info("stats")["tracking_total_keys"], "0")
        until(lambda: int(self.info("memory")["used_memory"]) < before - 1000000, "the memory to come back")

    def test_one_that_does_not_read_is_closed(self):
        self.c.cmd("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
        self.addCleanup(lambda: self.c.cmd("CONFIG", "SET", "client-output-buffer-limit", "normal 1gb 256mb 60"))
        lazy = self.connect()
        lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.cmd("HELLO", "3")
        lazy.cmd("CLIENT", "TRACKING", "ON", "BCAST")
        number = lazy.cmd("CLIENT", "ID")
        for round_number in range(100):
            self.c.send(b"".join(encode("SET", "x" * 1000 + str(n), "") for n in range(100)))
            self.c.replies(100)
        until(lambda: self.c.cmd("CLIENT", "LIST", "ID", number) == b"", "the client to be closed")


class Loads(TarnCase):
    config = """
source m mock x
map item m "item:{id:int}" "SELECT $id" as string load-timeout 30s
"""
    args = ("--enable-debug-command", "yes")

    def setUp(self):
        super().setUp()
        self.t = self.connect()
        self.t.cmd("HELLO", "3")

    def test_a_loaded_row_is_tracked_and_its_invalidation_told(self):
        """Rule 26."""
        self.assertEqual(self.t.cmd("CLIENT", "TRACKING", "ON"), "OK")
        for words in (("DEL", "item:1"), ("SOURCE", "INVALIDATE", "KEY", "item:1")):
            self.t.cmd("GET", "item:1")
            self.assertTrue(self.t.is_quiet())
            self.c.cmd(*words)
            self.assertEqual(self.t.reply(), Push([b"invalidate", [b"item:1"]]))
        for words in (("MAP", "item"), ("ALL",)):
            self.t.cmd("GET", "item:1")
            self.c.cmd("SOURCE", "INVALIDATE", *words)
            self.assertEqual(self.t.reply(), Push([b"invalidate", None]))

    def test_a_first_load_is_no_change_for_bcast(self):
        self.assertEqual(self.t.cmd("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "item:"), "OK")
        self.t.cmd("GET", "item:1")
        self.turn()
        self.assertTrue(self.t.is_quiet())
        self.c.cmd("DEL", "item:1")
        self.assertEqual(self.t.reply(), Push([b"invalidate", [b"item:1"]]))


if __name__ == "__main__":
    unittest.main()
