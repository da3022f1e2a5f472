"""A random but reproducible stream of requests over every command that Tarn shares with Redis.

The stream depends on its seed alone, never on replies. It is wrong on purpose now and then: arguments missing,
added, replaced by junk, options repeated, names in odd case. Keys are few, so that commands meet each other's work.
Three things keep it comparable between two servers that run at slightly different moments: lifetimes are either
long and random (no two are near each other) or over at once; a short lifetime is followed by a pause longer than
itself and a look at the key; and a step says how its replies are to be compared.
"""
import random
import time
from dataclasses import dataclass

from rdb import BAD_PAYLOADS, PAYLOADS
from resp import encode

LLONG_MAX, LLONG_MIN = 2**63 - 1, -2**63

KEYS = [b"a", b"b", b"c", b"d", b"n1", b"n2", b"n3", b"user:1", b"user:2", b"", b"\x00\r\n\xff", b"a key", b"GET",
        b"long" * 100]
PATTERNS = [b"*", b"a*", b"?", b"n[12]", b"n[^1]", b"user:*", b"*r:[0-1]", b"\\a", b"", b"[a-c]", b"[c-a]", b"[",
            b"n[1", b"*\\", b"[^", b"a[]b", b"**1", b"\x00*", b"????*"]
NUMBERS = [0, 1, -1, 2, 10, 42, 100, -7, LLONG_MAX, LLONG_MIN, LLONG_MAX - 1, 2**31, 2**32, -2**31]
NOT_NUMBERS = [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.5", b"1e3", b"abc", b"0x10", b"99999999999999999999",
               b"9223372036854775808", b"-9223372036854775809", b"1_0", b"nan", b"inf", b"--1", b"1\x00"]
FLOATS = [b"0.1", b"1.5", b"-2.25", b"1e3", b"3.0e-5", b"1000000.001", b"0.30000000000000004", b"-0.0", b"10",
          b"1e17", b"123456789012345678", b"5e-324", b"1e308", b"1e309", b"nan", b"inf", b"-inf", b"infinity",
          b"1_0", b" 1", b"1 ", b"", b".5", b"5.", b"0x1p3", b"1e", b"abc", b"+2"]
FIELDS = [b"f1", b"f2", b"f3", b"f4", b"", b"\x00\xff\r\n", b"name", b"f" * 64, b"f" * 65]
JUNK = [b"", b"foo", b"-1", b"0", b"NX", b"EX", b"\xff\xfe", b"*", b"1e9", b"nx ", b"GET"]


@dataclass
class Step:
    """Requests sent together on one connection, and how many replies they have."""
    connection: int
    requests: list        # of lists of byte strings
    replies: int
    kind: str = "exact"   # see differential.compare
    inline: bool = False
    pause: float = 0      # seconds to let pass before the next step

    def wire(self):
        return b"".join(inline(r) if self.inline else encode(*r) for r in self.requests)

    def text(self):
        lines = (" ".join(show(a) for a in r) for r in self.requests)
        return f"[{self.connection}]{' inline' if self.inline else ''} " + " ; ".join(lines)


def show(arg):
    return repr(arg)[1:] if len(arg) <= 200 else f"{repr(arg[:80])[1:]}...({len(arg)} bytes)"


def inline(args):
    """The same request as a line; every byte that could mean something is escaped."""
    words = []
    for arg in args:
        if arg.isalnum():
            words.append(arg)
        else:
            words.append(b'"' + b"".join(b"\\x%02x" % byte for byte in arg) + b'"')
    return b" ".join(words) + b"\r\n"


# Sent by Stream.special().
SPECIAL_COMMANDS = {"lcs", "client|kill", "client|reply", "quit", "reset", "debug", "shutdown", "multi", "subscribe",
                    "psubscribe", "ssubscribe", "monitor"}

# Their replies are figures of the server that gives them: test_memory.py and test_statistics.py have them. What is
# dumped need not be the same bytes: test_dump.py restores each server's in the other. And what a cache without users,
# files and replicas has to say of them: test_introspection.py.
UNLIKE_COMMANDS = {"memory|doctor", "memory|malloc-stats", "memory|purge", "memory|stats", "memory|usage",
                   "latency|doctor", "latency|graph", "latency|histogram", "latency|history", "latency|latest",
                   "latency|reset", "slowlog|get", "slowlog|len", "slowlog|reset", "dump", "restore",
                   "acl|cat", "acl|getuser", "acl|list", "acl|users", "acl|whoami", "config|rewrite", "lastsave",
                   "lolwut", "cluster", "module|list", "role", "command|getkeysandflags"}


def covered_commands():
    """Names as COMMAND LIST shows them."""
    sent = {"|".join(words_of(name)) for name in dir(Stream) if name.startswith("cmd_")}
    return sent | SPECIAL_COMMANDS | UNLIKE_COMMANDS


def words_of(method):
    """cmd_client_no__evict stands for CLIENT NO-EVICT, cmd_bitfield___ro for BITFIELD_RO."""
    words = method[len("cmd_"):].replace("___", "\0").replace("__", "-").split("_")
    return [word.replace("\0", "_") for word in words]


class Stream:
    """Yields steps: next(stream). `connections` are numbered from 0."""

    def __init__(self, seed, connections=3):
        self.r = random.Random(seed)
        self.connections = connections
        self.connection = 0
        self.pending = []
        self.rows = [(" ".join(words_of(name)).upper().encode(), getattr(self, name))
                     for name in sorted(dir(self)) if name.startswith("cmd_")]
        self.weights = [WEIGHTS.get(name.decode(), 4) for name, _ in self.rows]

    def __iter__(self):
        return self

    def __next__(self):
        if self.pending:
            return self.pending.pop(0)
        if self.r.random() < 0.06:
            self.connection = self.r.randrange(self.connections)
        special = self.r.random()
        if special < 0.02:
            return self.special()
        if special < 0.025:
            return self.short_life()
        name, make = self.r.choices(self.rows, self.weights)[0]
        words = name.split() + make()
        kind = KINDS.get(name.decode(), "exact")
        if self.r.random() < 0.08 and name not in NEVER_SPOILT:
            words = name.split() + self.spoil(words[len(name.split()):])
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        words[0] = self.odd_case(words[0])
        if any(w.upper() in (b"EXAT", b"PXAT", b"ABSTTL") for w in words[2:]):
            # A time in the past leaves a dead key behind that DBSIZE may or may not count: look at it.
            self.pending.append(Step(self.connection, [[b"EXISTS", words[1]]], 1))
        is_inline = self.r.random() < 0.03 and sum(map(len, words)) < 4000 and kind != "scan"
        return Step(self.connection, [words], 1, kind, is_inline)

    # Building blocks

    def odd_case(self, word):
        chance = self.r.random()
        if chance < 0.6:
            return word
        return word.lower() if chance < 0.9 else bytes(self.r.choice((c, c ^ 32)) if chr(c).isalpha() else c
                                                       for c in word)

    def key(self):
        return self.r.choice(KEYS[:9]) if self.r.random() < 0.85 else self.r.choice(KEYS)

    def value(self):
        chance = self.r.random()
        if chance < 0.3:
            return str(self.r.choice(NUMBERS)).encode()
        if chance < 0.4:
            return self.r.choice(NOT_NUMBERS)
        if chance < 0.5:
            return self.r.choice(FLOATS)
        if chance < 0.54:
            return self.r.randbytes(self.r.randrange(20000))
        return self.r.randbytes(self.r.randrange(40)) if chance < 0.8 else b"value-%d" % self.r.randrange(100)

    def number(self):
        return self.r.choice(NUMBERS) if self.r.random() < 0.85 else self.r.choice(NOT_NUMBERS)

    def some(self, make, low, high):
        return [make() for _ in range(self.r.randint(low, high))]

    def maybe(self, chance, *words):
        return list(words) if self.r.random() < chance else []

    def seconds(self):
        """Lifetimes in seconds: long and never near each other, or over at once, or wrong."""
        chance = self.r.random()
        if chance < 0.7:
            return self.r.randint(10**3, 10**7)
        return self.r.choice([0, -1, -100, LLONG_MAX, LLONG_MIN, LLONG_MAX // 1000, LLONG_MAX // 1000 + 1, b"abc",
                              b"", b"1.5", b"9223372036854775808", 10**15])

    def milliseconds(self):
        return self.r.randint(10**6, 10**10) if self.r.random() < 0.7 else self.seconds()

    def timestamp(self):
        chance = self.r.random()
        now = int(time.time())
        if chance < 0.6:
            return now + self.r.randint(10**3, 10**7)
        return now - self.r.randint(100, 10**6) if chance < 0.75 else self.seconds()

    def timestamp_ms(self):
        chance = self.r.random()
        now = int(time.time())
        return (now + self.r.randint(10**3, 10**7)) * 1000 + 7 if chance < 0.7 else self.timestamp()

    def lifetime(self):
        option = self.r.choice([b"EX", b"PX", b"EXAT", b"PXAT", b"ex", b"pxAt"])
        make = {b"EX": self.seconds, b"PX": self.milliseconds, b"EXAT": self.timestamp,
                b"PXAT": self.timestamp_ms}[option.upper()]
        return [option, make()]

    def spoil(self, words):
        """One mistake that clients make, in the words behind the command's name."""
        words = list(words)
        chance = self.r.random()
        if chance < 0.3 and words:
            words.pop(self.r.randrange(len(words)))
        elif chance < 0.55 or not words:
            words.insert(self.r.randint(0, len(words)), self.r.choice(JUNK))
        elif chance < 0.8:
            words[self.r.randrange(len(words))] = self.r.choice(JUNK)
        else:
            words.append(self.r.choice(words))
        return words

    # Steps of more than one request

    def special(self):
        chance = self.r.randrange(11)
        if chance == 10:
            return self.subscription()
        if chance >= 8:
            return self.transaction()
        filler = [self.r.choice([[b"SET", self.key(), self.value()], [b"GET", self.key()], [b"NOSUCH"], [b"GET"]])
                  for _ in range(self.r.randint(1, 3))]
        if chance == 0:
            return Step(self.connection, [[b"CLIENT", b"REPLY", b"OFF"], *filler, [b"CLIENT", b"REPLY", b"ON"]], 1)
        if chance == 1:
            return Step(self.connection, [[b"CLIENT", b"REPLY", b"SKIP"], filler[0], [b"PING", b"x"]], 1)
        if chance == 2:
            return Step(self.connection, [*filler, [b"QUIT"], [b"SET", b"a", b"after quit"]], 0, "quit")
        if chance == 3:
            return Step(self.connection, [[b"RESET"]], 1)
        if chance == 4:
            kind = self.r.choice([b"string", b"integer", b"double", b"bignum", b"null", b"array", b"set", b"map",
                                  b"TRUE", b"false", b"verbatim", b"foo"])
            return Step(self.connection, [[b"DEBUG", b"SLEEP", b"0"], [b"DEBUG", b"PROTOCOL", kind]], 2)
        if chance > 5:
            return self.lcs()
        return Step(self.connection, [self.r.choice([
            [b"SHUTDOWN", b"FOO"], [b"SHUTDOWN", b"ABORT"], [b"SHUTDOWN", b"NOSAVE", b"SAVE"],
            [b"CLIENT", b"KILL", b"ID", b"999999999"], [b"CLIENT", b"KILL", b"1.2.3.4:5"],
            [b"CLIENT", b"KILL", b"ID", b"abc"], [b"CLIENT", b"KILL", b"ADDR", b"1.2.3.4:5", b"SKIPME", b"yes"],
            [b"CLIENT", b"KILL", b"ID"], [b"CLIENT", b"KILL", b"SKIPME", b"maybe"], [b"CLIENT", b"KILL"],
            [b"CLIENT", b"REPLY"], [b"CLIENT", b"REPLY", b"FOO"]])], 1)

    def subscription(self):
        """A short time as a subscriber, with what is refused meanwhile; it ends by leaving everything, or RESET. The
        subscriber publishes to nobody: in which order RESP3 shows its reply and its own message is up to the server."""
        name, other = self.channel(), self.channel()
        leave = self.r.choice([[[b"UNSUBSCRIBE", name]], [[b"UNSUBSCRIBE"]], [[b"RESET"]]])
        requests = [[b"SUBSCRIBE", name], [b"PING"], [b"PING", other], *leave, [b"PING"]]
        if self.r.random() < 0.5:
            requests = [[b"SSUBSCRIBE", name], [b"PSUBSCRIBE", other], [b"SUNSUBSCRIBE", name], [b"PUNSUBSCRIBE", other],
                        [b"SUNSUBSCRIBE"], [b"PUNSUBSCRIBE"]]
        return Step(self.connection, requests, len(requests))

    def transaction(self):
        """A whole transaction in one go, perhaps with watched keys that this or another connection changes."""
        connection = self.connection
        if self.r.random() < 0.5:
            self.pending.append(Step(connection, [[b"WATCH", self.key(), self.key()]], 1))
            self.pending.append(Step(self.r.randrange(self.connections), [[b"SET", self.key(), self.value()]], 1))
        requests = [[b"MULTI"]] + self.some(self.plain_request, 0, 6) + self.maybe(0.05, [b"MONITOR"]) + [[b"EXEC"]]
        self.pending.append(Step(connection, requests, len(requests)))
        return self.pending.pop(0)

    def plain_request(self):
        """One of those whose replies two servers give byte for byte; and no moment in the past, because the dead key it
        leaves behind may be in a database that the transaction has left."""
        name = self.r.choice(["set", "get", "incr", "append", "del", "mget", "getset", "setrange", "incrbyfloat",
                              "getdel", "exists", "select", "nosuch", "expire", "persist", "rename", "hset", "hget", "hdel",
                              "hincrby", "restore", "move", "copy"])
        words = [w if isinstance(w, bytes) else str(w).encode() for w in getattr(self, "cmd_" + name)()]
        if any(w.upper() in (b"EXAT", b"PXAT") for w in words):
            return self.plain_request()
        return [name.encode(), *words]

    def lcs(self):
        """Of short strings, because the time it takes is their product; sometimes of whatever the second key holds
        as long as that is short."""
        first, second = self.key(), self.key()
        texts = [bytes(self.r.choice(b"abc") for _ in range(self.r.randrange(60))) for _ in range(2)]
        options = self.maybe(0.3, b"LEN") + self.maybe(0.5, b"IDX") + self.maybe(0.3, b"WITHMATCHLEN") + \
            self.maybe(0.05, b"FOO")
        self.r.shuffle(options)
        options += self.maybe(0.4, b"MINMATCHLEN", self.r.choice([b"0", b"1", b"2", b"3", b"-1", b"100", b"x"]))
        absent = self.maybe(0.1, [b"DEL", first])
        return Step(self.connection, [[b"MSET", first, texts[0], second, texts[1]], *absent,
                                      [b"LCS", first, second, *options]], 2 + len(absent))

    def short_life(self):
        key = self.key()
        short = str(self.r.randint(1, 5)).encode()
        first = self.r.choice([[b"SET", key, b"short", b"PX", short], [b"PEXPIRE", key, short],
                               [b"GETEX", key, b"PX", short], [b"PSETEX", key, short, b"short"]])
        self.pending.append(Step(self.connection, [[b"EXISTS", key]], 1))
        return Step(self.connection, [first], 1, "exact", False, 0.015)

    # One method per command; the name of the method is the command

    def cmd_ping(self):
        return self.maybe(0.4, self.value())

    def cmd_readonly(self):
        return []

    def cmd_readwrite(self):
        return []

    def cmd_echo(self):
        return [self.value()]

    def cmd_select(self):
        return [self.r.choice([0, 0, 0, 0, 1, 1, 2, 15, 16, -1, b"abc", b"01"])]

    def cmd_hello(self):
        return self.r.choice([[], [2], [3], [3], [4], [1], [b"abc"], [3, b"SETNAME", b"me"], [2, b"SETNAME", b"a b"],
                              [3, b"AUTH", b"default", b"x"], [3, b"AUTH", b"default"], [2, b"FOO"],
                              [3, b"AUTH", b"nobody", b"x"], [3, b"SETNAME", b"x", b"AUTH", b"default", b""]])

    def cmd_auth(self):
        return self.r.choice([[b"secret"], [b"default", b"x"], [b"nobody", b"x"], [], [b"a", b"b", b"c"]])

    def cmd_exec(self):
        return []

    cmd_discard = cmd_unwatch = cmd_exec

    def channel(self):
        return self.r.choice([b"news", b"a", b"", b"x" * 50, b"\x00"])

    def cmd_publish(self):
        return [self.channel(), self.value()]

    cmd_spublish = cmd_publish

    def cmd_unsubscribe(self):
        return self.some(self.channel, 0, 1)

    cmd_punsubscribe = cmd_sunsubscribe = cmd_unsubscribe

    def cmd_pubsub_channels(self):
        return self.r.choice([[], [b"*"], [b"n*"], [b"a", b"b"]])

    cmd_pubsub_shardchannels = cmd_pubsub_channels

    def cmd_pubsub_numsub(self):
        return self.some(self.channel, 0, 3)

    cmd_pubsub_shardnumsub = cmd_pubsub_numsub

    def cmd_pubsub_numpat(self):
        return []

    cmd_pubsub_nosuch = cmd_pubsub_numpat

    def cmd_client_tracking(self):
        """Never ON: pushes would come between the replies."""
        return self.r.choice([[b"OFF"], [b"OFF", b"BCAST"], [b"MAYBE"], [b"OFF", b"REDIRECT", b"x"],
                              [b"OFF", b"REDIRECT", 999999], [b"OFF", b"PREFIX"], [b"OFF", b"FOO"], []])

    def cmd_client_caching(self):
        return self.r.choice([[b"YES"], [b"NO"], [b"x"]])

    def cmd_client_getredir(self):
        return []

    cmd_client_trackinginfo = cmd_client_unpause = cmd_client_getredir

    def cmd_client_pause(self):
        return self.r.choice([[0], [b"x"], [-1], [0, b"WRITE"], [0, b"ALL"], [0, b"FOO"], []])

    def cmd_client_unblock(self):
        return self.r.choice([[b"x"], [999999], [999999, b"ERROR"], [999999, b"timeout"], [999999, b"FOO"], []])

    def cmd_watch(self):
        return self.some(self.key, 1, 3)

    def cmd_set(self):
        words = [self.key(), self.value()]
        options = self.maybe(0.3, "life") + self.maybe(0.15, b"NX") + self.maybe(0.15, b"XX") + \
            self.maybe(0.1, b"KEEPTTL") + self.maybe(0.2, b"GET") + self.maybe(0.02, b"nx") + self.maybe(0.02, b"FOO")
        self.r.shuffle(options)
        for option in options:
            words += self.lifetime() if option == "life" else [option]
        return words

    def cmd_setnx(self):
        return [self.key(), self.value()]

    def cmd_setex(self):
        return [self.key(), self.seconds(), self.value()]

    def cmd_psetex(self):
        return [self.key(), self.milliseconds(), self.value()]

    def cmd_get(self):
        return [self.key()]

    cmd_getdel = cmd_strlen = cmd_type = cmd_persist = cmd_ttl = cmd_pttl = cmd_expiretime = cmd_pexpiretime = \
        cmd_incr = cmd_decr = cmd_object_encoding = cmd_object_freq = cmd_object_idletime = \
        cmd_object_refcount = cmd_get

    def cmd_getset(self):
        return [self.key(), self.value()]

    cmd_append = cmd_getset

    def cmd_getex(self):
        return [self.key()] + self.r.choice([[], [b"PERSIST"], [b"PERSIST", b"EX", 100], self.lifetime(),
                                             self.lifetime(), self.lifetime() + self.lifetime()])

    def cmd_mget(self):
        return self.some(self.key, 1, 6)

    cmd_del = cmd_unlink = cmd_exists = cmd_touch = cmd_mget

    def cmd_mset(self):
        return [w for _ in range(self.r.randint(1, 4)) for w in (self.key(), self.value())]

    cmd_msetnx = cmd_mset

    def cmd_getrange(self):
        return [self.key(), self.bound(), self.bound()]

    cmd_substr = cmd_getrange

    def bound(self):
        return self.r.choice([0, 1, 2, 5, 10, 100, -1, -2, -5, -100]) if self.r.random() < 0.8 else self.number()

    def cmd_setrange(self):
        offset = self.r.choice([0, 1, 5, 30, 1000, -1, 536870911, 536870912, 4294967296, LLONG_MAX, LLONG_MIN, b"x"])
        if offset == 536870911:  # half a gigabyte for one byte: only refused, never written
            return [self.key(), offset, b"xy"]
        return [self.key(), offset, self.r.choice([b"", b"x", b"hello", self.value()])]

    def bit_offset(self, *more):
        if self.r.random() < 0.9:
            return self.r.choice([0, 1, 7, 8, 9, 63, 64, 100, self.r.randrange(300), *more])
        return self.r.choice([-1, 2**32, LLONG_MAX, LLONG_MIN, b"x", b"", b"#1", 20000])

    def cmd_setbit(self):
        return [self.key(), self.bit_offset(), self.r.choice([0, 1, 1, 0, 1, 2, -1, b"x", b"01"])]

    def cmd_getbit(self):
        return [self.key(), self.bit_offset(2**32 - 1)]

    def bit_range(self, *lengths):
        """Start, end and unit, as many of them as one of `lengths` says."""
        unit = self.r.choice([b"BIT", b"BYTE", b"bit", b"byte", b"FOO"])
        return [self.bound(), self.bound(), unit][:self.r.choice(lengths)]

    def cmd_bitcount(self):
        return [self.key()] + self.bit_range(0, 1, 2, 2, 3, 3)

    def cmd_bitpos(self):
        return [self.key(), self.r.choice([0, 1, 0, 1, 0, 1, 2, -1, b"x"])] + self.bit_range(0, 1, 1, 2, 3, 3)

    def cmd_bitop(self):
        return [self.r.choice([b"AND", b"or", b"XOR", b"NOT", b"FOO"]), self.key()] + self.some(self.key, 1, 4)

    def bit_type(self):
        if self.r.random() < 0.93:
            return self.r.choice(b"iu").to_bytes(1, "big") + b"%d" % self.r.choice([1, 2, 5, 8, 13, 16, 32, 62, 63, 64])
        return self.r.choice([b"i65", b"u0", b"i0", b"I8", b"8", b"", b"i", b"u-1", b"i08", b"u8 "])

    def bitfield_get(self):
        return [b"GET", self.bit_type(), self.bit_offset(b"#0", b"#1", b"#2", b"#-1", b"#300")]

    def cmd_bitfield___ro(self):
        return [self.key()] + sum(self.some(self.bitfield_get, 0, 3), []) + self.maybe(0.05, b"SET", b"u8", 0, 1)

    def cmd_bitfield(self):
        words = [self.key()]
        for _ in range(self.r.randint(0, 5)):
            chance = self.r.random()
            if chance < 0.25:
                words += self.bitfield_get()
            elif chance < 0.5:
                words += [b"OVERFLOW", self.r.choice([b"WRAP", b"SAT", b"FAIL", b"fail", b"sat", b"FOO"])] \
                    if self.r.random() < 0.97 else [b"overflow"]
            else:
                words += [self.r.choice([b"SET", b"INCRBY", b"set", b"incrby"]), self.bit_type(),
                          self.bit_offset(b"#0", b"#1", b"#7"), self.bitfield_number()]
        return words

    def bitfield_number(self):
        """None so low that Redis mistakes it for too high, see DIFFERENCES."""
        number = self.number()
        return number if isinstance(number, bytes) else max(number, -2**62)

    def cmd_wait(self):
        return [self.r.choice([0, -1, b"x"]), self.r.choice([0, 1, -1, b"x"])]

    def field(self):
        return self.r.choice(FIELDS) if self.r.random() < 0.9 else b"field:%d" % self.r.randrange(300)

    def cmd_hset(self):
        if self.r.random() < 0.02:  # enough for a table
            first = self.r.randrange(200)
            return [self.key()] + [b"field:%d" % i for i in range(first, first + 2 * self.r.randrange(60, 80))]
        return [self.key()] + [w for _ in range(self.r.randint(1, 4)) for w in (self.field(), self.value())]

    cmd_hmset = cmd_hset

    def cmd_hsetnx(self):
        return [self.key(), self.field(), self.value()]

    def cmd_hget(self):
        return [self.key(), self.field()]

    cmd_hexists = cmd_hstrlen = cmd_hget

    def cmd_hgetall(self):
        return [self.key()]

    cmd_hkeys = cmd_hvals = cmd_hlen = cmd_hgetall

    def cmd_hmget(self):
        return [self.key()] + self.some(self.field, 1, 5)

    cmd_hdel = cmd_hmget

    def cmd_hincrby(self):
        return [self.key(), self.field(), self.number()]

    def cmd_hincrbyfloat(self):
        return [self.key(), self.field(), self.r.choice(FLOATS)]

    def cmd_hrandfield(self):
        count = self.r.choice([0, 1, 2, 5, 1000, -1, -3, -20, LLONG_MAX, LLONG_MIN, b"x", b""])
        return [self.key()] + self.maybe(0.8, count, *self.maybe(0.5, self.r.choice([b"WITHVALUES", b"values"])))

    def cmd_hscan(self):
        return [self.key()] + self.cmd_scan()[:5]

    def cmd_incrby(self):
        return [self.key(), self.number()]

    cmd_decrby = cmd_incrby

    def cmd_incrbyfloat(self):
        return [self.key(), self.r.choice(FLOATS)]

    def cmd_rename(self):
        return [self.key(), self.key()]

    cmd_renamenx = cmd_rename

    def cmd_move(self):
        return [self.key(), self.r.choice([0, 1, 1, 2, 2, 15, 16, -1, b"x", b"", 2**31, LLONG_MAX])]

    def cmd_dump(self):
        return [self.key()]

    def cmd_restore(self):
        """Times that do not overflow, which Redis leaves to the processor."""
        good = self.r.random() < 0.8
        words = [self.key(), 0, self.r.choice(PAYLOADS if good else BAD_PAYLOADS)] + self.maybe(0.7, b"REPLACE")
        chance = self.r.random()
        if chance < 0.3:
            words[1] = self.r.choice([10**6, 10**8 + 1, 10**9 + 7, 10**10, -1, LLONG_MIN, b"x", b"", b"1.5"])
        elif chance < 0.5:
            words[1] = int(time.time() * 1000) + self.r.choice([10**6, 10**8 + 1, 10**9 + 7, -1000, -10**9])
            words.append(b"ABSTTL")
        return words + self.maybe(0.15, b"IDLETIME", self.r.choice([0, 1, 1000, -1, b"x"])) + \
            self.maybe(0.15, b"FREQ", self.r.choice([0, 1, 255, 256, -1, b"x"])) + self.maybe(0.03, b"FOO")

    def cmd_copy(self):
        return [self.key(), self.key()] + self.maybe(0.3, b"DB", self.r.choice([0, 1, 2, 15, 16, -1, b"x"])) + \
            self.maybe(0.4, b"REPLACE")

    def cmd_randomkey(self):
        return []

    cmd_dbsize = cmd_time = cmd_config_resetstat = cmd_command_count = cmd_client_id = cmd_client_getname = \
        cmd_client_info = cmd_randomkey

    def cmd_keys(self):
        return [self.r.choice(PATTERNS)]

    def cmd_scan(self):
        cursor = 0 if self.r.random() < 0.9 else self.r.choice([b"abc", b"", b"-1", b"99999999999999999999999", b" 0"])
        return [cursor] + self.maybe(0.4, b"MATCH", self.r.choice(PATTERNS)) + \
            self.maybe(0.4, b"COUNT", self.r.choice([1, 2, 10, 1000, 0, -1, b"x"])) + \
            self.maybe(0.2, b"TYPE", self.r.choice([b"string", b"hash", b"STRING", b"nosuch"]))

    def cmd_expire(self):
        return self.lifetime_with_conditions(self.seconds())

    def cmd_pexpire(self):
        return self.lifetime_with_conditions(self.milliseconds())

    def cmd_expireat(self):
        return self.lifetime_with_conditions(self.timestamp())

    def cmd_pexpireat(self):
        return self.lifetime_with_conditions(self.timestamp_ms())

    def lifetime_with_conditions(self, life):
        """Two lifetimes that are thousands of years away cannot be compared, see DIFFERENCES."""
        is_far_away = isinstance(life, int) and life >= 10**14
        return [self.key(), life] + ([] if is_far_away else self.conditions())

    def conditions(self):
        return self.r.choice([[], [], [], [b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"gt"], [b"XX", b"GT"], [b"NX", b"XX"],
                              [b"GT", b"LT"], [b"NX", b"GT"], [b"FOO"]])

    def cmd_flushdb(self):
        return self.r.choice([[], [b"ASYNC"], [b"SYNC"], [b"FOO"]])

    cmd_flushall = cmd_flushdb

    def cmd_swapdb(self):
        return [self.r.choice([0, 1, 2, 15, 16, b"x"]), self.r.choice([0, 1, 2, 3, -1, b"y"])]

    def cmd_info(self):
        return self.r.choice([[], [b"server"], [b"nosuch"], [b"CLIENTS", b"memory"], [b"all"], [b"everything"]])

    def cmd_config_get(self):
        return self.r.choice([[b"nosuch"], [b"nosuch*", b"alsonot"]])

    def cmd_config_set(self):
        return self.r.choice([[b"nosuch", b"1"], [b"nosuch"], [b"maxmemory", b"0", b"maxmemory"]])

    def cmd_command_getkeys(self):
        return self.r.choice([[b"GET", b"a"], [b"MSET", b"a", b"1", b"b", b"2"], [b"MGET", b"x", b"y", b"z"],
                              [b"PING"], [b"NOSUCH"], [b"GET"], [b"COPY", b"a", b"b"], [b"DEL", b"a", b"b"],
                              [b"SET", b"k", b"v", b"EX", b"1"], [b"RENAME", b"a", b"b"], [],
                              [b"BITOP", b"AND", b"d", b"a", b"b"], [b"LCS", b"a", b"b"], [b"HSET", b"h", b"f", b"v"],
                              [b"HMGET", b"h", b"f"], [b"OBJECT", b"ENCODING", b"k"], [b"MEMORY", b"USAGE", b"k"],
                              [b"RESTORE", b"k", b"0", b"x"], [b"DUMP", b"k"], [b"MOVE", b"k", b"1"], [b"SCAN", b"0"],
                              [b"WATCH", b"a", b"b"], [b"SUBSCRIBE", b"a"], [b"SPUBLISH", b"a", b"b"], [b"SET", b"k"],
                              [b"MSETNX", b"a", b"1", b"b", b"2"], [b"CLIENT", b"LIST"], [b"SUBSTR", b"a", b"0", b"1"],
                              [b"BITFIELD", b"a", b"GET", b"u8", b"0"], [b"SET", b"a", b"b", b"GET"]])

    def cmd_command_info(self):
        return [b"nosuch"]

    def cmd_command_docs(self):
        return [b"nosuch"]

    def cmd_command_list(self):
        return self.r.choice([[b"FILTERBY"], [b"FILTERBY", b"PATTERN", b"nosuch*"], [b"FILTERBY", b"FOO", b"x"],
                              [b"FOO"], [b"FILTERBY", b"MODULE", b"nosuch"], [b"FILTERBY", b"ACLCAT", b"nosuch"]])

    def cmd_client_setname(self):
        return [self.r.choice([b"me", b"", b"a b", b"x" * 100, b"tab\t", b"caf\xc3\xa9", b"nl\n"])]

    def cmd_client_no__evict(self):
        return [self.r.choice([b"on", b"off", b"maybe"])]

    def cmd_client_nosuch(self):
        return []

    cmd_command_nosuch = cmd_config_nosuch = cmd_client_nosuch

    def cmd_client_list(self):
        return self.r.choice([[], [b"TYPE", b"normal"], [b"TYPE", b"foo"], [b"ID", 1, 2], [b"ID", b"x"], [b"FOO"]])

    def cmd_nosuch(self):
        return self.some(self.value, 0, 4)


WEIGHTS = {"HSET": 20, "HMSET": 8, "HGET": 12, "HDEL": 8, "HGETALL": 8, "SET": 30, "GET": 30, "DEL": 8, "MSET": 8, "FLUSHALL": 1, "FLUSHDB": 1, "SWAPDB": 1, "SELECT": 4,
           "HELLO": 4, "AUTH": 1, "INFO": 1, "TIME": 1, "RESET": 1, "APPEND": 8, "INCRBYFLOAT": 10, "INCR": 8,
           "INCRBY": 8, "NOSUCH": 2, "CLIENT NOSUCH": 1, "PUBSUB NOSUCH": 1, "COMMAND NOSUCH": 1, "CONFIG NOSUCH": 1,
           "CONFIG RESETSTAT": 1, "OBJECT FREQ": 1, "OBJECT IDLETIME": 1, "OBJECT REFCOUNT": 1, "CLIENT LIST": 1,
           "CLIENT INFO": 1, "CLIENT ID": 1, "EXEC": 1, "DISCARD": 1, "CLIENT TRACKING": 2, "CLIENT PAUSE": 1, "CLIENT UNPAUSE": 1, "WATCH": 1, "UNWATCH": 1}
KINDS = {"TTL": "seconds", "EXPIRETIME": "seconds", "PTTL": "milliseconds", "PEXPIRETIME": "milliseconds",
         "RANDOMKEY": "shape", "TIME": "shape", "INFO": "shape", "CLIENT ID": "shape", "CLIENT INFO": "shape",
         "CLIENT LIST": "shape", "COMMAND COUNT": "shape", "OBJECT ENCODING": "shape", "OBJECT FREQ": "shape",
         "OBJECT IDLETIME": "shape", "OBJECT REFCOUNT": "shape", "KEYS": "unordered", "SCAN": "scan", "HSCAN": "scan",
         "HKEYS": "unordered", "HVALS": "unordered", "HGETALL": "fields", "HRANDFIELD": "random", "HELLO": "hello",
         "DUMP": "dump"}
# A mistake would ask for what each server has of its own, or (HELLO) change a name that GETNAME shows later, or have
# more replies than one.
NEVER_SPOILT = (b"CONFIG GET", b"COMMAND INFO", b"COMMAND NOSUCH", b"COMMAND COUNT", b"COMMAND DOCS", b"COMMAND LIST",
                b"HELLO", b"CLIENT PAUSE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE")
