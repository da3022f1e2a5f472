"""DUMP and RESTORE, between Tarn and redis-server in both directions, and the forms that only others write."""
import random
import struct
import time
import unittest

from case import CompareCase
from rdb import payload
from resp import Error

WORDS = [b"", b"0", b"-1", b"127", b"128", b"-128", b"-129", b"32767", b"32768", b"-32769", b"2147483647", b"2147483648",
         b"-2147483648", b"9223372036854775807", b"-9223372036854775808", b"007", b"1.5", b"-0", b"a", b"\x00\xff\r\n",
         b"abc" * 3, b"x" * 20, b"x" * 21, b"y" * 63, b"y" * 64, b"ab" * 5000, b"z" * 16383, b"z" * 16384]


def text(value):
    """A string of fewer than 64 bytes as RDB has it (or of fewer than 256, with b"\\x40" in front)."""
    return bytes([len(value)]) + value


def ziplist(*elements):
    """Elements are (form, data) of at most 250 bytes."""
    body, before, last = b"", 0, 10
    for element in elements:
        last = 10 + len(body)
        entry = bytes([before]) + element
        body += entry
        before = len(entry)
    return struct.pack("<IIH", 11 + len(body), last, len(elements)) + body + b"\xff"


def listpack(*elements):
    body = b"".join(element + bytes([len(element)]) for element in elements)
    return struct.pack("<IH", 7 + len(body), len(elements)) + body + b"\xff"


def word(value):
    """A short string in a listpack."""
    return bytes([0x80 | len(value)]) + value


def number64(value):
    return b"\xf4" + struct.pack("<q", value)


class Dump(CompareCase):
    args = ("--enable-debug-command", "yes")

    def move(self, source, target, key):
        dump = source.cmd("DUMP", key)
        self.assertEqual(target.cmd("RESTORE", key, 0, dump, "REPLACE"), "OK", (key, dump[:100]))

    def both_ways(self):
        """(from, to, name) for each direction."""
        return ((self.c, self.r, "to redis"), (self.r, self.c, "from redis"))

    def test_strings(self):
        r = random.Random(1)
        values = WORDS + [r.randbytes(n) for n in (1, 22, 100, 300, 20000, 70000)] + [b"long words " * 20000]
        for source, target, name in self.both_ways():
            for value in values:
                with self.subTest(name, value=value[:40]):
                    source.cmd("SET", "k", value)
                    self.move(source, target, "k")
                    self.assertEqual(target.cmd("GET", "k"), value)

    def test_same_bytes_as_redis(self):
        for value in [w for w in WORDS if len(w) <= 64 and len(set(w)) != 1 or len(w) <= 20]:
            for c in (self.c, self.r):
                c.cmd("SET", "k", value)
            self.assertEqual(self.c.cmd("DUMP", "k"), self.r.cmd("DUMP", "k"), value)

    def test_hashes(self):
        r = random.Random(2)
        for source, target, name in self.both_ways():
            for count in (1, 2, 10, 128, 129, 300):
                with self.subTest(name, count=count):
                    pick = lambda: r.choice(WORDS) if r.random() < 0.3 else r.randbytes(r.randrange(30))
                    fields = {(pick() if i < 5 else b"%d" % (i * i * 37) if i % 3 else b"f%d" % i): pick()
                              for i in range(count)}
                    source.cmd("DEL", "h")
                    source.cmd("HSET", "h", *(w for pair in fields.items() for w in pair))
                    self.move(source, target, "h")
                    self.assertEqual(self.hash_of(target, "h"), fields)

    def hash_of(self, connection, key):
        flat = connection.cmd("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def test_short_values_in_a_listpack(self):
        """Numbers of every size of a listpack."""
        numbers = [n for bits in (7, 12, 15, 23, 31, 63) for n in (2**bits - 1, 2**bits - 2, -2**bits, 1 - 2**bits)]
        numbers += [128, -1, 4096, -4097, 2**15, -2**15 - 1, 2**23, -2**23 - 1, 2**31, -2**31 - 1]
        fields = {b"%d" % n: b"%d" % -n for n in numbers if n != -2**63}
        self.r.cmd("HSET", "h", *(w for pair in fields.items() for w in pair))
        self.assertEqual(self.r.cmd("OBJECT", "ENCODING", "h"), b"listpack")
        self.move(self.r, self.c, "h")
        self.assertEqual(self.hash_of(self.c, "h"), fields)

    def test_large_hash(self):
        pairs = [w for i in range(50000) for w in (b"field:%d" % i, b"%d" % (i * 3))]
        for source, target, name in self.both_ways():
            with self.subTest(name):
                source.cmd("DEL", "h")
                source.cmd("HSET", "h", *pairs)
                self.move(source, target, "h")
                self.assertEqual(self.hash_of(target, "h"), dict(zip(pairs[::2], pairs[1::2])))

    def test_life_and_errors(self):
        self.assert_same(r'''
            1: DUMP nothing
            1: DUMP
            1: RESTORE k 0 x
            1: RESTORE k 0
            1: SET k value
            1: RESTORE k 0 x
            1: RESTORE k 0 x REPLACE
            1: RESTORE k -1 x REPLACE
            1: RESTORE k abc x REPLACE
            1: RESTORE k abc x
            1: RESTORE k 0 x FOO
            1: RESTORE k 0 x IDLETIME
            1: RESTORE k 0 x IDLETIME -1
            1: RESTORE k 0 x IDLETIME abc
            1: RESTORE k 0 x FREQ 256
            1: RESTORE k 0 x FREQ -1
            1: RESTORE k 0 x FREQ 1 IDLETIME 1
            1: RESTORE k 0 x IDLETIME 1 FREQ 1
            1: RESTORE k 0 x IDLETIME 1 IDLETIME 2 REPLACE
            1: RESTORE k 0 "" REPLACE
            1: GET k
        ''')
        for body in (b"", b"\x00", b"\x08\x01a", b"\x00\x3fabc", b"\x04\x00", b"\x04\x01\x01a", b"\xff", b"\x00\x81abc",
                     b"\x00\xc3\x02\x05ab", b"\x10\x07\x07\x00\x00\x00\x00\x00\xff",
                     b"\x10\x06\x07\x00\x00\x00\x00\x00"):
            for c in (self.r, self.c):
                self.assertEqual(c.cmd("RESTORE", "k", 0, payload(body), "REPLACE"), "ERR Bad data format", body)
        for body in (b"\x04\x02\x01a\x01b\x01a\x01c", b"\x00\x01ab"):  # a field twice, more than a value: Redis lets it be
            self.assertEqual(self.c.cmd("RESTORE", "k", 0, payload(body), "REPLACE"), "ERR Bad data format", body)
        for broken in (payload(b"\x00\x01a")[:-1], payload(b"\x00\x01a", 81), payload(b"\x00\x01a")[:-8] + b"\x01" * 8):
            for c in (self.r, self.c):
                self.assertEqual(c.cmd("RESTORE", "k", 0, broken, "REPLACE"),
                                 "ERR DUMP payload version or checksum are wrong")

    def test_expiry(self):
        dump = payload(b"\x00\x01a")
        now = int(time.time() * 1000)
        for c in (self.r, self.c):
            self.assertEqual(c.cmd("RESTORE", "k", 1000000, dump), "OK")
            self.assertAlmostEqual(c.cmd("PTTL", "k"), 1000000, delta=5000)
            self.assertEqual(c.cmd("RESTORE", "k", now + 2000000, dump, "ABSTTL", "REPLACE"), "OK")
            self.assertAlmostEqual(c.cmd("PTTL", "k"), 2000000, delta=5000)
            self.assertEqual(c.cmd("RESTORE", "k", 0, dump, "ABSTTL", "REPLACE"), "OK")
            self.assertEqual(c.cmd("PTTL", "k"), -1)
            self.assertEqual(c.cmd("RESTORE", "k", 1, dump, "ABSTTL", "REPLACE"), "OK")
            self.assertEqual(c.cmd("EXISTS", "k"), 0)
            self.assertEqual(c.cmd("RESTORE", "k", 1, dump, "ABSTTL"), "OK")
            self.assertEqual(c.cmd("EXISTS", "k"), 0)

    def test_use(self):
        dump = payload(b"\x00\x01a")
        for c in (self.r, self.c):
            for policy in ("allkeys-lru", "allkeys-lfu"):
                self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory-policy", policy), "OK")
                if policy == "allkeys-lru":
                    c.cmd("RESTORE", "k", 0, dump, "REPLACE", "IDLETIME", 1000)
                    self.assertIn(c.cmd("OBJECT", "IDLETIME", "k"), range(1000, 1010))
                else:
                    c.cmd("RESTORE", "k", 0, dump, "REPLACE", "FREQ", 100)
                    self.assertEqual(c.cmd("OBJECT", "FREQ", "k"), 100)
            c.cmd("CONFIG", "SET", "maxmemory-policy", "noeviction")

    def test_ziplist(self):
        """Hashes of Redis 6 and older."""
        elements = [b"\x01a", b"\xf1", b"\x02bb", b"\xfd", b"\xfe\x80", b"\xc0\x00\x80", b"\xd0" + struct.pack("<i", -2**31),
                    b"\xe0" + struct.pack("<q", 2**63 - 1), b"\xf0\xff\xff\x7f", b"\x40\x45" + b"l" * 69]
        dump = payload(b"\x0d\x40" + text(ziplist(*elements)), 9)  # the length in 14 bits
        expected = {b"a": b"0", b"bb": b"12", b"-128": b"-32768", b"-2147483648": b"9223372036854775807",
                    b"8388607": b"l" * 69}
        for c in (self.r, self.c):
            self.assertEqual(c.cmd("RESTORE", "h", 0, dump), "OK")
            self.assertEqual(self.hash_of(c, "h"), expected)

    def assert_expiries(self, dump, at):
        self.assertEqual(self.c.cmd("RESTORE", "h", 0, dump, "REPLACE"), "OK")
        self.assertEqual(self.hash_of(self.c, "h"), {b"f": b"1", b"g": b"2", b"h": b"3"})
        self.assertEqual(self.c.cmd("HPEXPIRETIME", "h", "FIELDS", 3, "f", "g", "h"), [at, -1, at + 5000])

    def test_fields_with_an_expiry(self):
        at = int(time.time() * 1000) + 1000000
        gone = text(b"over") + text(b"9")
        redis = struct.pack("<Q", at) + b"\x03" + b"\x01" + text(b"f") + text(b"1") + b"\x00" + text(b"g") + text(b"2") + \
            b"\x53\x89" + text(b"h") + text(b"3")  # 5001 in 14 bits
        self.assert_expiries(payload(b"\x18" + redis, 12), at)
        pack = listpack(word(b"f"), word(b"1"), number64(at), word(b"h"), word(b"3"), number64(at + 5000),
                        word(b"g"), b"\x02", b"\x00")
        self.assert_expiries(payload(b"\x19" + struct.pack("<Q", at) + text(pack), 12), at)
        valkey = b"\x04" + text(b"f") + text(b"1") + struct.pack("<q", at) + text(b"g") + text(b"2") + \
            struct.pack("<q", -1) + text(b"h") + text(b"3") + struct.pack("<q", at + 5000) + gone + struct.pack("<q", 1000)
        self.assert_expiries(payload(b"\x16" + valkey, 80), at)
        # And back: the form of Redis 7.4.
        again = self.c.cmd("DUMP", "h")
        self.assertEqual((again[0], again[-10:-8]), (0x18, b"\x0c\x00"))
        self.assert_expiries(again, at)

    def test_nothing_lives(self):
        """Fields that are all over by now: as if the time of the key were."""
        dump = payload(b"\x16\x01" + text(b"f") + text(b"1") + struct.pack("<q", 1000), 80)
        self.c.cmd("SET", "h", "x")
        self.assertEqual(self.c.cmd("RESTORE", "h", 0, dump), "BUSYKEY Target key name already exists.")
        self.assertEqual(self.c.cmd("RESTORE", "h", 0, dump, "REPLACE"), "OK")
        self.assertEqual(self.c.cmd("EXISTS", "h"), 0)

    def test_digest_is_that_of_the_value(self):
        self.c.cmd("HSET", "h", "a", "1", "b", "2")
        self.c.cmd("HSET", "other", "b", "2", "a", "1")
        self.c.cmd("SET", "s", "x")
        for key in ("h", "other", "s"):
            self.assertEqual(self.c.cmd("RESTORE", key + "-copy", 0, self.c.cmd("DUMP", key)), "OK")
        digests = self.c.cmd("DEBUG", "DIGEST-VALUE", "h", "h-copy", "other", "other-copy", "s", "s-copy", "none")
        self.assertEqual([digests.index(d) for d in digests], [0, 0, 0, 0, 4, 4, 6])
        self.c.cmd("HSET", "h", "b", "3")
        self.assertNotEqual(self.c.cmd("DEBUG", "DIGEST-VALUE", "h"), digests[:1])

    def test_large_hash_with_expiries(self):
        pairs = [w for i in range(2000) for w in (b"field:%d" % i, b"%d" % i)]
        self.c.cmd("HSET", "h", *pairs)
        self.c.cmd("HPEXPIRE", "h", 1000000, "FIELDS", 1000, *pairs[:2000:2])
        times = self.c.cmd("HPEXPIRETIME", "h", "FIELDS", 2000, *pairs[::2])
        self.move(self.c, self.c, "h")
        self.assertEqual(self.hash_of(self.c, "h"), dict(zip(pairs[::2], pairs[1::2])))
        self.assertEqual(self.c.cmd("HPEXPIRETIME", "h", "FIELDS", 2000, *pairs[::2]), times)

    def test_damage(self):
        """Whatever is done to a payload behind its checksum's back: an error or a value, never a fall."""
        r = random.Random(3)
        self.r.cmd("HSET", "h", *(w for i in range(20) for w in (b"f%d" % i, WORDS[i])))
        self.c.cmd("HSET", "h", "a", "1", "b", "2", "c", "3" * 100)
        self.c.cmd("HPEXPIRE", "h", 100000, "FIELDS", 1, "a")
        self.c.cmd("SET", "s", b"ab" * 5000)
        bodies = [self.r.cmd("DUMP", "h")[:-10], self.c.cmd("DUMP", "h")[:-10], self.c.cmd("DUMP", "s")[:-10]]
        for _ in range(2000):
            body = bytearray(r.choice(bodies))
            for _ in range(r.randint(1, 3)):
                body[r.randrange(len(body))] = r.randrange(256)
            reply = self.c.cmd("RESTORE", "k", 0, payload(bytes(body[:r.choice([len(body), r.randrange(len(body))])]), 12),
                               "REPLACE")
            self.assertIn(reply, ("OK", "ERR Bad data format"))
            if reply == "OK" and not isinstance(self.c.cmd("HLEN", "k"), Error):
                self.move(self.c, self.c, "k")


if __name__ == "__main__":
    unittest.main()
