"""A plain RESP client for tests: it sends bytes as they are and shows replies as they came.

Client libraries hide what a protocol test must see (the exact bytes, the order, a closed connection), so this
one hides nothing: raw_reply() returns the bytes of one reply, reply() its decoded value.

Decoded values: bulk string -> bytes, simple string -> str, error -> Error, integer -> int, null -> None,
array -> list, set -> Members, map -> dict, double -> float, boolean -> bool, push -> Push, verbatim -> bytes.
"""
import select
import socket


class Error(str):
    """An error reply, without the leading '-'."""


class Members(list):
    """A RESP3 set, in the order in which it was sent."""


class Push(list):
    """A RESP3 push message."""


class Incomplete(Exception):
    """The bytes end before the reply does."""


def encode(*args):
    """One request as an array of bulk strings."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(out)


def hashable(value):
    """A decoded map key that a dict can take."""
    return tuple(value) if isinstance(value, list) else value


def parse(buf, pos=0):
    """Reads one reply at pos; returns (value, position behind it) or raises Incomplete."""
    eol = buf.find(b"\r\n", pos)
    if eol < 0:
        raise Incomplete
    kind, line, pos = bytes(buf[pos:pos + 1]), bytes(buf[pos + 1:eol]), eol + 2
    if kind in SCALARS:
        return SCALARS[kind](line), pos
    if kind in b"$=":
        return parse_bulk(kind, buf, int(line), pos)
    if kind not in b"*~>%":
        raise ValueError(f"not a reply: {bytes(buf[:60])!r}")
    count = int(line)
    if count < 0:
        return None, pos
    values = []
    for _ in range(count * 2 if kind == b"%" else count):
        value, pos = parse(buf, pos)
        values.append(value)
    if kind == b"%":
        return dict(zip(map(hashable, values[::2]), values[1::2])), pos
    return {b"*": list, b"~": Members, b">": Push}[kind](values), pos


def parse_bulk(kind, buf, length, pos):
    if length < 0:
        return None, pos
    if len(buf) < pos + length + 2:
        raise Incomplete
    if buf[pos + length:pos + length + 2] != b"\r\n":
        raise ValueError("a bulk string without its CR LF")
    value = bytes(buf[pos:pos + length])
    return (value[4:] if kind == b"=" else value), pos + length + 2


SCALARS = {
    b"+": lambda line: line.decode("latin-1"),
    b"-": lambda line: Error(line.decode("latin-1")),
    b":": int,
    b"(": int,
    b"_": lambda line: None,
    b",": float,
    b"#": lambda line: line == b"t",
}


class Connection:
    """One connection to a server. address: a port number (on 127.0.0.1), (host, port), or a socket's path."""

    def __init__(self, address, timeout=20):
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        self.buf = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        """Receives once; False at the end of the stream."""
        data = self.sock.recv(1 << 20)
        self.buf += data
        return len(data) > 0

    def reply_with_bytes(self):
        while True:
            try:
                value, end = parse(self.buf)
                raw = bytes(self.buf[:end])
                del self.buf[:end]
                return value, raw
            except Incomplete:
                if not self.fill():
                    raise ConnectionError(f"closed after {bytes(self.buf[:200])!r}") from None

    def reply(self):
        return self.reply_with_bytes()[0]

    def raw_reply(self):
        return self.reply_with_bytes()[1]

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    def read_exactly(self, size):
        """Bytes as they come, for replies too many to look at one by one."""
        while len(self.buf) < size:
            if not self.fill():
                raise ConnectionError(f"closed after {len(self.buf)} of {size} bytes")
        data = bytes(self.buf[:size])
        del self.buf[:size]
        return data

    def cmd(self, *args):
        """Sends one request and returns its decoded reply (an Error is returned, not raised)."""
        self.send(encode(*args))
        return self.reply()

    def until_closed(self):
        """Everything up to the server's close; fails by timeout when it does not close."""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            pass
        return bytes(self.buf)

    def is_quiet(self, seconds=0.05):
        """True when nothing arrives for that long: a bound on how long we look, not a wait for anything."""
        if self.buf:
            return False
        return not select.select([self.sock], [], [], seconds)[0]
