"""Runs the same random stream of requests against two servers and compares every reply, byte for byte.

    differential.py [--commands N] [--seed N] [--resp 2|3] [--subject tarn|redis]

The reference is redis-server, the subject tarn (TARN_BIN); `--subject redis` compares redis-server with itself,
which proves that the stream is fair. On a difference the stream is shortened to what is
needed to show it, and printed. What may differ is in DIFFERENCES below and nowhere else; docs/compatibility.md
repeats that table.
"""
import argparse
import os
import sys
import time
from dataclasses import dataclass
from typing import Callable, Optional

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tarn  # noqa: E402
from resp import Error, encode  # noqa: E402
from stream import Stream  # noqa: E402

TOLERANCE_MS = 5000   # how far apart the two servers may run a step; lifetimes in the stream are 1000 s and more
SHRINK_SECONDS = 60
BATCH = 30            # steps sent before replies are read
DUMP_EVERY = 1000     # steps between two comparisons of everything stored
DATABASES = 16


@dataclass
class Difference:
    """One intended difference. `accepts` is None when the stream never meets it."""
    topic: str
    redis: str
    tarn: str
    accepts: Optional[Callable] = None  # (request, redis reply, tarn reply) -> bool


FAR_AWAY_MS = 2**48 - 2**42  # Tarn keeps 48 bits of milliseconds


def is_far_away(request, left, right):
    """Both lifetimes (or moments) are thousands of years away."""
    unit = 1 if request[0].upper().startswith(b"P") else 1000
    return all(isinstance(value, int) and value * unit >= FAR_AWAY_MS for value in (left, right))


def is_quoted_shorter(request, left, right):
    """The same error, with a long argument cut off."""
    return isinstance(left, Error) and isinstance(right, Error) and len(right) >= 128 and left.startswith(right)


DIFFERENCES = [
    Difference("lifetimes beyond about 8700 years", "kept to the millisecond", "cut to 2^48 ms", is_far_away),
    Difference("HELLO with SETNAME and a mistake after it", "the name is set all the same", "nothing is changed, as in "
               "Redis 7.2"),
    Difference("arguments quoted in errors", "whole, except for unknown commands", "at most 128 bytes", is_quoted_shorter),
    Difference("OBJECT ENCODING", "remembers how the value was written", "follows from the value alone"),
    Difference("OBJECT FREQ", "an error unless the policy is LFU", "also with the default policy, which counts use",
               lambda request, left, right: request[0].upper() == b"OBJECT" and isinstance(right, int)),
    Difference("BITFIELD SET of a number far below the type's range", "OVERFLOW SAT stores the highest value of the type "
               "when highest - number overflows", "the lowest value"),
    Difference("LCS of long strings", "limited by memory", "an error when the product of the lengths is above 64 Mi"),
    Difference("HRANDFIELD with a negative count", "any number", "at most 16777216 fields"),
    Difference("HSCAN", "no NOVALUES, which came with 7.4", "NOVALUES"),
    Difference("WAIT", "waits for replicas that may still come", "answers 0 at once"),
    Difference("arguments of one request", "up to 2^31 - 1", "up to 1048576"),
]


class Mismatch(Exception):
    def __init__(self, step, what):
        super().__init__(what)
        self.step = step
        self.what = what


def scan_all(connection, request):
    """The whole iteration: the set of keys (or fields and values), or the error that ended it. From a cursor that is
    not the start only the form of the reply is comparable."""
    at = 2 if request[0].upper() == b"HSCAN" else 1
    if len(request) <= at or request[at] != b"0":
        reply = connection.cmd(*request)
        return reply if isinstance(reply, Error) else [type(part) for part in reply]
    keys = set()
    request = list(request)
    for _ in range(100000):
        reply = connection.cmd(*request)
        if isinstance(reply, Error) or not isinstance(reply, list):
            return reply
        request[at], found = reply
        keys.update(found)
        if request[at] == b"0":
            return keys
    raise AssertionError("SCAN does not end")


def is_near(left, right, unit_ms):
    if left < 0 or right < 0:
        return left == right
    return abs(left - right) * unit_ms <= TOLERANCE_MS


def compare(kind, request, left, right):
    """left and right are (value, bytes). True when they are the same as far as `kind` asks."""
    (lvalue, lraw), (rvalue, rraw) = left, right
    if lraw == rraw or isinstance(lvalue, Error) or isinstance(rvalue, Error) or kind == "exact":
        return lraw == rraw
    if kind == "seconds":
        return is_near(lvalue, rvalue, 1000)
    if kind == "milliseconds":
        return is_near(lvalue, rvalue, 1)
    if kind == "shape":
        return lraw[:1] == rraw[:1] and type(lvalue) is type(rvalue)
    if kind == "unordered":
        return lraw[:1] == rraw[:1] and sorted(lvalue) == sorted(rvalue)
    if kind == "fields":
        return lraw[:1] == rraw[:1] and as_fields(lvalue) == as_fields(rvalue)
    if kind == "random":
        return lraw[:1] == rraw[:1] and (lraw[:1] == b"$" or len(lvalue) == len(rvalue))
    if kind == "dump":
        return is_same_dump(lvalue, rvalue)
    if kind == "hello":
        return lraw[:1] == rraw[:1] and hello_fields(lvalue) == hello_fields(rvalue)
    raise AssertionError(f"no such comparison: {kind}")


def is_same_dump(left, right):
    """Numbers and short strings have one form; hashes and what LZF packs have several."""
    if left is None or right is None or left[:1] != b"\0" or left[1] == 0xC3:
        return (left is None) == (right is None)
    return left == right


def as_fields(reply):
    """HGETALL in either protocol; the order of a large hash is the server's own."""
    return dict(reply) if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def hello_fields(reply):
    items = list(reply.items()) if isinstance(reply, dict) else list(zip(reply[::2], reply[1::2]))
    return [(k, None if k in (b"server", b"version", b"id") else v) for k, v in items]


def is_intended(request, left, right):
    return any(d.accepts and d.accepts(request, left[0], right[0]) for d in DIFFERENCES)


class Pair:
    """The two servers, with the same connections to each. `starts` are functions that start them; a server that
    crashed is started again for the next try. Use as a context manager."""

    def __init__(self, start_reference, start_subject, connections=3, resp=2):
        self.starts = (start_reference, start_subject)
        self.resp = resp
        self.count = connections
        self.servers = []
        self.links = []

    def __enter__(self):
        for start in self.starts:
            self.servers.append(start())
        self.reset()
        return self

    def __exit__(self, kind, value, trace):
        self.disconnect()
        for server in self.servers:
            server.stop(check=kind is None)

    def disconnect(self):
        for pair in self.links:
            for connection in pair:
                connection.close()
        self.links = []

    def connect(self):
        return tuple(server.connect() for server in self.servers)

    def reset(self):
        """Fresh connections and empty databases."""
        self.disconnect()
        for i, server in enumerate(self.servers):
            if not server.is_serving():
                server.kill()
                self.servers[i] = self.starts[i]()
        self.links = [self.connect() for _ in range(self.count)]
        for connection in [link for pair in self.links for link in pair]:
            connection.cmd("HELLO", self.resp)
        self.links.append(self.connect())
        self.checker = self.links[-1]
        for connection in self.checker:
            assert connection.cmd("FLUSHALL") == "OK"

    def run(self, steps):
        """Runs steps in batches; raises Mismatch at the first difference."""
        batch = []
        since_dump = 0
        for step in steps:
            if batch and (batch[0].connection != step.connection or len(batch) >= BATCH):
                self.run_batch(batch)
                batch = []
            if step.kind in ("scan", "quit"):
                self.run_batch(batch)
                batch = []
                self.run_alone(step)
            else:
                batch.append(step)
            if step.pause:
                self.run_batch(batch)
                batch = []
                time.sleep(step.pause)
            since_dump += 1
            if since_dump >= DUMP_EVERY:
                self.run_batch(batch)
                batch = []
                self.compare_stored(step)
                since_dump = 0
        self.run_batch(batch)
        if since_dump:
            self.compare_stored(step)

    def run_batch(self, batch):
        if not batch:
            return
        links = self.links[batch[0].connection]
        data = b"".join(step.wire() for step in batch)
        for link in links:
            link.send(data)
        for step in batch:
            for number in range(step.replies):
                left, right = self.replies(step, links)
                request = step.requests[number if step.replies > 1 else -1]
                if not compare(step.kind, request, left, right) and not is_intended(request, left, right):
                    raise Mismatch(step, f"reference: {left[1][:400]!r}\nsubject:   {right[1][:400]!r}")

    def replies(self, step, links):
        """The next reply of each server; the end of a connection is a difference too."""
        replies = []
        for server, link in zip(self.servers, links):
            try:
                replies.append(link.reply_with_bytes())
            except (OSError, ValueError) as broken:
                what = f"{server.name}: {type(broken).__name__}: {broken}\n{server.log()[-3000:]}"
                raise Mismatch(step, what) from None
        return replies

    def run_alone(self, step):
        links = self.links[step.connection]
        if step.kind == "scan":
            left, right = (scan_all(link, step.requests[0]) for link in links)
        else:
            for link in links:
                link.send(step.wire())
            left, right = (link.until_closed() for link in links)
            for link in links:
                link.close()
            self.links[step.connection] = self.connect()
        if left != right or type(left) is not type(right):
            raise Mismatch(step, f"reference: {left!r}\nsubject:   {right!r}")

    def compare_stored(self, step):
        """Every key of every database: names, values, lifetimes."""
        for db in range(DATABASES):
            left, right = (stored(connection, db) for connection in self.checker)
            if left.keys() != right.keys():
                raise Mismatch(step, f"keys of database {db}: reference only {left.keys() - right.keys()}, "
                                     f"subject only {right.keys() - left.keys()}")
            for key, (value, ttl) in left.items():
                same_life = is_near(ttl, right[key][1], 1) or is_far_away([b"PTTL"], ttl, right[key][1])
                if value != right[key][0] or not same_life:
                    raise Mismatch(step, f"key {key!r} of database {db}:\nreference: {value!r:.200} {ttl} ms\n"
                                         f"subject:   {right[key][0]!r:.200} {right[key][1]} ms")


def stored(connection, db):
    assert connection.cmd("SELECT", db) == "OK"
    keys = sorted(connection.cmd("KEYS", "*"))
    connection.send(b"".join(encode("GET", k) + encode("HGETALL", k) + encode("PTTL", k) for k in keys))
    return {key: (content(connection.reply(), connection.reply()), connection.reply()) for key in keys}


def content(string, fields):
    """Of the two ways of reading a key the one that fits its type."""
    return as_fields(fields) if isinstance(string, Error) and not isinstance(fields, Error) else string


def reproduces(pair, steps):
    pair.reset()
    try:
        pair.run(steps)
        return None
    except Mismatch as found:
        return found


def shrink(pair, steps, found):
    """Delta debugging: halves first, then smaller pieces, until nothing can be left out or time is up."""
    deadline = time.monotonic() + SHRINK_SECONDS
    recent = steps[-300:]
    shorter = reproduces(pair, recent)
    if shorter:
        steps, found = recent, shorter
    piece = max(1, len(steps) // 2)
    while time.monotonic() < deadline:
        start, removed = 0, False
        while start < len(steps) and time.monotonic() < deadline:
            candidate = steps[:start] + steps[start + piece:]
            again = reproduces(pair, candidate) if candidate else None
            if again:
                steps, found, removed = candidate, again, True
            else:
                start += piece
        if piece == 1 and not removed:
            break
        piece = max(1, piece // 2)
    return steps, found


def explain(steps, found, seed):
    lines = "\n".join("  " + step.text() for step in steps[-40:])
    more = f"  ... {len(steps) - 40} steps before\n" if len(steps) > 40 else ""
    return (f"seed {seed}: the servers differ at\n  {found.step.text()}\n{found.what}\n"
            f"after (number: connection)\n{more}{lines}")


def differential(start_reference, start_subject, commands, seed, resp=2):
    """None when all replies agree, else a description of the difference. Connections begin with `resp`; the stream
    changes it now and then."""
    with Pair(start_reference, start_subject, resp=resp) as pair:
        history = []
        stream = Stream(seed, pair.count)

        def record():
            for _ in range(commands):
                history.append(next(stream))
                yield history[-1]

        try:
            pair.run(record())
            return None
        except Mismatch as found:
            steps, found = shrink(pair, history, found)
            return explain(steps, found, seed)


def start_subject():
    return tarn.Tarn("--enable-debug-command", "yes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--resp", type=int, choices=(2, 3), default=2)
    parser.add_argument("--subject", choices=("tarn", "redis"), default="tarn")
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.commands} commands", flush=True)
    subject = tarn.Redis if args.subject == "redis" else start_subject
    problem = differential(tarn.Redis, subject, args.commands, args.seed, args.resp)
    print(problem or "no difference")
    sys.exit(1 if problem else 0)


if __name__ == "__main__":
    main()
