"""Channels, patterns, shard channels; keyspace notifications; subscribers who do not read."""
import socket
import unittest

from case import CompareCase, TarnCase
from resp import Push, encode
from tarn import until


class LikeRedis(CompareCase):
    def test_subscribe_and_unsubscribe(self):
        self.assert_same("""
            1: UNSUBSCRIBE
            1: PUNSUBSCRIBE
            1: SUNSUBSCRIBE
            1: SUBSCRIBE a
            1: SUBSCRIBE a
            1: SUBSCRIBE b c
            1: <
            1: PSUBSCRIBE p*
            1: SSUBSCRIBE s
            1: UNSUBSCRIBE a
            1: UNSUBSCRIBE nothing
            1: PUNSUBSCRIBE p* q*
            1: <
            1: SUNSUBSCRIBE s
            1: UNSUBSCRIBE b
            1: UNSUBSCRIBE
            1: PUNSUBSCRIBE
            1: PING
            1: SUBSCRIBE
            1: PSUBSCRIBE
        """)

    def test_subscribe_and_unsubscribe_with_resp3(self):
        for c in (self.r, self.c):
            c.cmd("HELLO", "3")
        for words in ("UNSUBSCRIBE", "SUBSCRIBE a", "SSUBSCRIBE b", "GET a", "PSUBSCRIBE x", "PING", "PING y", "UNSUBSCRIBE a",
                      "PUNSUBSCRIBE", "SUNSUBSCRIBE", "SUNSUBSCRIBE"):
            for c in (self.r, self.c):
                c.send(encode(*words.split()))
            self.assertEqual(self.c.raw_reply(), self.r.raw_reply(), words)

    def test_messages(self):
        self.assert_same("""
            1: SUBSCRIBE a
            1: PSUBSCRIBE a* x*
            1: <
            2: SUBSCRIBE a
            3: PUBLISH a hello
            1: <
            1: <
            2: <
            3: PUBLISH abc ""
            1: <
            3: PUBLISH nobody x
            4: SSUBSCRIBE a
            3: SPUBLISH a shard
            4: <
            3: SPUBLISH b x
            3: PUBLISH a
            3: PUBLISH a b c
        """)

    def test_a_resp2_subscriber_may_do_little(self):
        self.assert_same("""
            1: SUBSCRIBE a
            1: GET a
            1: PING
            1: PING hello
            1: PING a b
            1: PUBLISH a x
            1: CLIENT ID
            1: CONFIG GET x
            1: MULTI
            1: HELLO 3
            1: NOSUCH
            1: RESET
            1: GET a
            1: PING
            1: SSUBSCRIBE a
            1: GET a
            1: SUNSUBSCRIBE a
            1: GET a
            1: PSUBSCRIBE a
            1: QUIT
        """)

    def test_pubsub_tells(self):
        self.assert_same("""
            1: SUBSCRIBE a
            2: SUBSCRIBE a
            2: PSUBSCRIBE x*
            1: PSUBSCRIBE x*
            2: PSUBSCRIBE y*
            2: SSUBSCRIBE s
            3: PUBSUB CHANNELS
            3: PUBSUB CHANNELS b*
            3: PUBSUB CHANNELS a* b
            3: PUBSUB NUMSUB
            3: PUBSUB NUMSUB a b s
            3: PUBSUB NUMPAT
            3: PUBSUB NUMPAT x
            3: PUBSUB SHARDCHANNELS
            3: PUBSUB SHARDCHANNELS x
            3: PUBSUB SHARDNUMSUB s a
            3: PUBSUB NOSUCH
            3: PUBSUB
        """)

    def test_within_transactions(self):
        self.assert_same("""
            1: MULTI
            1: SUBSCRIBE a
            1: EXEC
            2: MULTI
            2: PUBLISH a x
            2: SPUBLISH a x
            2: EXEC
            1: <
        """)

    def test_a_resp3_client_that_publishes_to_itself(self):
        """The push comes behind the reply, as in Redis 7.2 (7.0 sends it before, and within the array of EXEC)."""
        c = self.c
        c.cmd("HELLO", "3")
        message = [b"message", b"a", b"x"]
        self.assertEqual(c.cmd("SUBSCRIBE", "a"), [b"subscribe", b"a", 1])
        self.assertEqual([c.cmd("PUBLISH", "a", "x"), c.reply()], [1, message])
        for words in ("MULTI", "PUBLISH a x", "INCR n"):
            c.cmd(*words.split())
        self.assertEqual([c.cmd("EXEC"), c.reply()], [[1, 1], message])

    def test_client_reply_off_keeps_messages(self):
        for c in (self.r, self.c):
            c.cmd("HELLO", "3")
            c.send(encode("CLIENT", "REPLY", "OFF") + encode("SUBSCRIBE", "a") + encode("GET", "x"))
            with (self.redis if c is self.r else self.tarn).connect() as other:
                self.assertEqual(c.reply(), Push([b"subscribe", b"a", 1]))
                self.assertEqual(other.cmd("PUBLISH", "a", "x"), 1)
            self.assertEqual(c.reply(), Push([b"message", b"a", b"x"]))


EVENTS = """
    SET k v
    SET k v EX 100
    SETEX k 100 v
    PSETEX k 100000 v
    SETNX n 1
    SETNX n 1
    GETSET k w
    MSET k 1 l 2
    MSETNX m1 1 m2 2
    MSETNX m1 1 m3 2
    APPEND k x
    SETRANGE k 0 abc
    SETRANGE new 0 ""
    DEL k
    INCR k
    DECR k
    INCRBY k 3
    DECRBY k 3
    INCRBYFLOAT k 1.5
    INCR l2
    EXPIRE k 100
    PEXPIRE k 100000
    EXPIREAT k 99999999999
    EXPIRE nothing 100
    PERSIST k
    PERSIST k
    EXPIRE k -1
    GETDEL k
    SET k v
    GETEX k EX 100
    GETEX k PERSIST
    GETEX k
    GETDEL k
    SET a 1
    RENAME a b
    RENAMENX b c
    COPY c d
    COPY c d
    COPY c d REPLACE
    DEL c d nothing
    UNLINK n l
    GET nothing
    MGET nothing m1
    EXISTS nothing
    TTL nothing
    STRLEN nothing
    SETBIT bits 7 1
    SETBIT bits 7 0
    BITOP NOT dest bits
    BITOP AND dest nothing
    BITFIELD bits SET u8 0 5
    FLUSHALL
"""


class Notifications(CompareCase):
    def collect(self, server, classes):
        with server.connect() as listener, server.connect() as c:
            self.assertEqual(c.cmd("CONFIG", "SET", "notify-keyspace-events", classes), "OK")
            self.assertEqual(c.cmd("SELECT", "3"), "OK")
            listener.cmd("PSUBSCRIBE", "__key*")
            for line in EVENTS.strip().split("\n"):
                words = [word.strip('"') for word in line.split()]
                c.cmd(*words)
                c.cmd("PUBLISH", "__key separator", line.strip())
            c.cmd("PUBLISH", "__key end", "")
            self.assertEqual(c.cmd("CONFIG", "SET", "notify-keyspace-events", ""), "OK")
            messages = []
            while not messages or messages[-1][2] != b"__key end":
                messages.append(listener.reply())
            return messages

    def test_events_are_those_of_redis(self):
        for classes in ("KEA", "K$", "Eg", "KEAmn", "Kx", "Em", "Kn"):
            with self.subTest(classes=classes):
                expected = self.collect(self.redis, classes)
                self.assertGreater(len(expected), 40)
                self.assertEqual(self.collect(self.tarn, classes), expected)

    def test_the_option_reads_and_prints_like_redis(self):
        for letters in ("", "KEA", "AKE", "g$lshzxetd", "Kg$", "KEgg$$", "AKEm", "x", "KEAx", "q", "KEz?"):
            replies = []
            for c in (self.r, self.c):
                replies.append((c.cmd("CONFIG", "SET", "notify-keyspace-events", letters),
                                c.cmd("CONFIG", "GET", "notify-keyspace-events")))
            self.assertEqual(*replies, letters)
        self.assertEqual(self.c.cmd("CONFIG", "SET", "notify-keyspace-events", "nmE"), "OK")
        self.assertEqual(self.c.cmd("CONFIG", "GET", "notify-keyspace-events"), [b"notify-keyspace-events", b"Emn"])

    def test_expired_keys_are_announced_without_being_touched(self):
        for server in (self.redis, self.tarn):
            with server.connect() as listener, server.connect() as c:
                c.cmd("CONFIG", "SET", "notify-keyspace-events", "Ex")
                listener.cmd("SUBSCRIBE", "__keyevent@0__:expired")
                for n in range(20):
                    c.cmd("SET", f"k{n}", "v", "PX", "10")
                names = sorted(listener.reply()[2] for _ in range(20))
                self.assertEqual(names, sorted(b"k%d" % n for n in range(20)))
                c.cmd("CONFIG", "SET", "notify-keyspace-events", "")

    def test_evicted_keys_are_announced(self):
        with self.connect() as listener:
            self.c.cmd("CONFIG", "SET", "notify-keyspace-events", "Ee", "maxmemory", "32mb")
            listener.cmd("SUBSCRIBE", "__keyevent@0__:evicted")
            for n in range(100):
                self.c.send(b"".join(encode("SET", f"k{n}:{i}", "x" * 10000) for i in range(100)))
                self.c.replies(100)
            self.assertEqual(listener.reply()[1], b"__keyevent@0__:evicted")
            self.c.cmd("CONFIG", "SET", "notify-keyspace-events", "", "maxmemory", "0")


class Subscribers(TarnCase):
    def test_client_list_tells(self):
        s = self.connect()
        number = s.cmd("CLIENT", "ID")
        s.cmd("HELLO", "3")
        for words in (("SUBSCRIBE", "a"), ("SUBSCRIBE", "b"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "s")):
            s.cmd(*words)
        line = self.c.cmd("CLIENT", "LIST", "TYPE", "pubsub").decode()
        self.assertEqual(len(line.strip().split("\n")), 1)
        found = dict(word.split("=", 1) for word in line.strip().split(" "))
        self.assertEqual((found["id"], found["sub"], found["psub"], found["ssub"], found["flags"]),
                         (str(number), "2", "1", "1", "P"))
        stats = self.info("stats")
        self.assertEqual((stats["pubsub_channels"], stats["pubsub_patterns"], stats["pubsubshard_channels"]),
                         ("2", "1", "1"))
        self.assertEqual(len(self.c.cmd("CLIENT", "LIST", "TYPE", "normal").decode().strip().split("\n")), 1)
        self.assertEqual(self.c.cmd("CLIENT", "KILL", "TYPE", "pubsub"), 1)
        s.until_closed()
        until(lambda: self.c.cmd("PUBSUB", "CHANNELS") == [], "the channels to go")

    def test_one_that_does_not_read_is_closed_and_the_others_are_not(self):
        self.c.cmd("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4mb 0 0")
        lazy, good, publisher = self.connect(), self.connect(), self.connect()
        lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.cmd("SUBSCRIBE", "a")
        good.cmd("SUBSCRIBE", "a")
        message = b"x" * 100000
        counts = []
        for _ in range(300):
            counts.append(publisher.cmd("PUBLISH", "a", message))
            self.assertEqual(good.reply()[2], message)
        self.assertEqual((counts[0], counts[-1]), (2, 1))
        self.assertEqual(self.info("stats")["client_output_buffer_limit_disconnections"], "1")
        self.assertLess(self.tarn.rss(), 300 << 20)

    def test_the_limit_holds_within_one_transaction(self):
        self.c.cmd("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4mb 0 0")
        lazy = self.connect()
        lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.cmd("SUBSCRIBE", "a")
        self.assertEqual(self.c.cmd("MULTI"), "OK")
        for _ in range(100):
            self.c.cmd("PUBLISH", "a", "x" * 100000)
        self.assertEqual(self.c.cmd("EXEC")[0], 1)
        until(lambda: self.c.cmd("PUBLISH", "a", "x") == 0, "the subscriber to go")

    def test_many_channels_and_many_subscribers(self):
        clients = [self.connect() for _ in range(50)]
        for s in clients:
            s.send(b"".join(encode("SUBSCRIBE", *(f"c{n}" for n in range(i, i + 100))) for i in range(0, 1000, 100)))
            s.replies(1000)
        self.assertEqual(len(self.c.cmd("PUBSUB", "CHANNELS")), 1000)
        self.assertEqual(self.c.cmd("PUBLISH", "c777", "x"), 50)
        for s in clients:
            self.assertEqual(s.reply(), [b"message", b"c777", b"x"])
        for s in clients[:49]:
            s.close()
        until(lambda: self.c.cmd("PUBSUB", "NUMSUB", "c0") == [b"c0", 1], "the others to leave")

    def test_a_subscriber_outlives_the_timeout(self):
        """An idle subscriber is at work: only others are closed."""
        self.c.cmd("CONFIG", "SET", "timeout", "1")
        s, idle = self.connect(), self.connect()
        s.cmd("SUBSCRIBE", "a")
        idle.cmd("PING")
        self.assertEqual(idle.until_closed(), b"")
        with self.tarn.connect() as c:
            self.assertEqual(c.cmd("CONFIG", "SET", "timeout", "0"), "OK")
            self.assertEqual(c.cmd("PUBLISH", "a", "still here"), 1)
        self.assertEqual(s.reply()[2], b"still here")


if __name__ == "__main__":
    unittest.main()
