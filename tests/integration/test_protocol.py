"""The wire: framing, limits, errors and both protocol versions, as a hostile or careless client meets them.

Where redis-server gives a definite answer, the same bytes are sent to both and the answers compared.
"""
import threading

from case import CompareCase, TarnCase
from resp import Error, encode

PONG = b"+PONG\r\n"
MIB = 1 << 20


class SameBytes(CompareCase):
    """Streams after which the connection is over, or after which a PING still answers: as redis-server does it."""

    def both(self, data):
        """What each server sends until it closes; a QUIT behind the data ends those that go on."""
        answers = []
        for server in (self.redis, self.tarn):
            with server.connect() as c:
                try:
                    c.send(data + encode("PING") + encode("QUIT"))
                except (BrokenPipeError, ConnectionResetError):
                    pass
                answers.append(c.until_closed())
        return answers

    def same(self, *streams):
        for data in streams:
            with self.subTest(data=data[:60]):
                expected, got = self.both(data)
                self.assertEqual(got, expected)

    def test_empty_requests_are_ignored(self):
        self.same(b"*-10\r\n", b"\r\n", b"*0\r\n", b"*-1\r\n", b"\r\n\r\n\r\n", b"*0\r\n*0\r\n", b"   \r\n", b"\n",
                  b"*-2147483648\r\n")

    def test_bad_multibulk_length(self):
        self.same(b"*2147483648\r\n", b"*9223372036854775808\r\n", b"*+1\r\n", b"*1x\r\n", b"*\r\n",
                  b"* 1\r\n", b"*1 \r\n", b"*01\r\n$4\r\nPING\r\n")

    def test_expected_dollar(self):
        self.same(b"*3\r\nfooz\r\n", b"*1\r\n\r\n", b"*1\r\n:4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\nx\r\n",
                  b"*1\r\n\xff\r\n")

    def test_bad_bulk_length(self):
        self.same(b"*1\r\n$-10\r\n", b"*1\r\n$2000000000\r\n", b"*1\r\n$blabla\r\n", b"*1\r\n$ 5\r\n",
                  b"*1\r\n$\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$9223372036854775808\r\n")

    def test_lines_too_long(self):
        """So long that redis-server, which checks only between reads, cannot see the line's end before its length."""
        self.same(b"x" * MIB, b"*" + b"1" * MIB, b"*1\r\n$" + b"1" * MIB)

    def test_inline(self):
        self.same(b"PING\r\n", b"ping hello\r\n", b"PING\n", b"  PING  \r\n", b"SET k 'a b'\r\nGET k\r\n",
                  b'ECHO "\\x41\\n\\t\\\\\\""\r\n', b"ECHO 'it\\'s'\r\n", b"ECHO \"open\r\n", b"ECHO 'open\r\n",
                  b'ECHO "a"b\r\n', b"ECHO ''\r\n", b"ECHO \xff\xfe\r\n", b"PING\rPING\r\n",
                  b"NOSUCH a b\r\n", b"\tPING\t\r\n", b"ECHO \"\\xzz\\q\"\r\n")

    def test_a_request_after_a_protocol_error_is_not_run(self):
        self.same(b"*x\r\n" + encode("SET", "k", "v"))
        self.assertIsNone(self.c.cmd("GET", "k"))

    def test_requests_behind_quit_are_not_run(self):
        self.same(encode("QUIT") + encode("SET", "k", "v") + encode("PING"))
        self.assertIsNone(self.c.cmd("GET", "k"))

    def test_unknown_commands(self):
        self.same(encode("NOSUCH"), encode("NOSUCH", "a", "b c"), encode("x" * 500, "y" * 500), encode(""),
                  encode("N\r\nO", "a\r\nb"), encode("NOSUCH", *"abcdefgh" * 20), encode("\xff\x01".encode("latin-1")))

    def test_wrong_arity(self):
        self.same(encode("GET"), encode("GET", "a", "b"), encode("SET", "a"), encode("MSET", "a"), encode("CLIENT"),
                  encode("CONFIG", "GET"), encode("CONFIG", "NOSUCH"), encode("mget"))


class Framing(TarnCase):
    MIX = (encode("SET", "k", "v\r\n$3\r\n") + b"PING\r\n" + encode("GET", "k") + b"\r\n" + encode("NOSUCH", "a") +
           b'ECHO "x y"\r\n' + encode("MGET", "k", "none") + b"*0\r\n" + encode("ECHO", "") + encode("GET"))

    def whole(self):
        with self.tarn.connect() as c:
            c.send(self.MIX + encode("QUIT"))
            return c.until_closed()

    def test_every_split_gives_the_same_replies(self):
        expected = self.whole()
        for cut in range(1, len(self.MIX)):
            with self.tarn.connect() as c:
                c.send(self.MIX[:cut])
                self.turn()
                c.send(self.MIX[cut:] + encode("QUIT"))
                self.assertEqual(c.until_closed(), expected, f"cut at {cut}")

    def test_one_byte_at_a_time(self):
        expected = self.whole()
        with self.tarn.connect() as c:
            for byte in self.MIX + encode("QUIT"):
                c.send(bytes([byte]))
                self.turn()
            self.assertEqual(c.until_closed(), expected)

    def test_a_million_pings_in_one_write(self):
        count = 1000000
        before = self.tarn.rss()
        sender = threading.Thread(target=self.c.send, args=(encode("PING") * count,))
        sender.start()
        self.assertEqual(self.c.read_exactly(count * len(PONG)), PONG * count)
        sender.join()
        self.assertLess(self.tarn.rss() - before, 32 * MIB)

    def test_a_pipeline_answers_in_order(self):
        count = 20000
        self.c.send(b"".join(encode("SET", f"k{i}", i) + encode("GET", f"k{i}") for i in range(count)))
        for i in range(count):
            self.assertEqual(self.c.reply(), "OK")
            self.assertEqual(self.c.reply(), str(i).encode())

    def test_inline_words_may_hold_any_byte_but_blanks(self):
        """redis-server waits for ever for the end of a line with a NUL in it."""
        self.c.send(b"ECHO a\x00b\r\n")
        self.assertEqual(self.c.reply(), b"a\x00b")

    def test_more_than_a_million_arguments_are_refused(self):
        """redis-server would wait for 2^31 - 1."""
        for data in (b"*20000000\r\n", b"*1048577\r\n"):
            with self.tarn.connect() as c:
                c.send(data)
                self.assertEqual(c.until_closed(), b"-ERR Protocol error: invalid multibulk length\r\n")

    def test_lines_are_limited_however_they_arrive(self):
        for data, what in ((b"x" * 65537, b"inline request"), (b"*" + b"1" * 65536, b"mbulk count string"),
                           (b"*1\r\n$" + b"1" * 65536, b"bulk count string")):
            for piece in (len(data) + 2, 10000, 65536):
                with self.tarn.connect() as c:
                    for at in range(0, len(data) + 2, piece):
                        c.send((data + b"\r\n")[at:at + piece])
                        self.turn()
                    self.assertEqual(c.until_closed(), b"-ERR Protocol error: too big " + what + b"\r\n", piece)

    def test_large_values_come_back_whole(self):
        for size in (16 * 1024 - 1, 16 * 1024, 64 * 1024, MIB - 1, MIB, 5 * MIB + 3, 64 * MIB):
            value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            self.assertEqual(self.c.cmd("SET", "big", value), "OK", size)
            self.assertTrue(self.c.cmd("GET", "big") == value, size)

    def test_keys_may_be_any_bytes(self):
        for key in (b"", b"\x00", b"\r\n", b"a\x00b", bytes(range(256)), b"GET", b"k" * 65536, b"k" * MIB):
            self.assertEqual(self.c.cmd("SET", key, b"v"), "OK")
            self.assertEqual(self.c.cmd("GET", key), b"v")
            self.assertEqual(self.c.cmd("KEYS", "*"), [key])
            self.assertEqual(self.c.cmd("DEL", key), 1)

    def test_a_long_unknown_name_is_quoted_short(self):
        reply = self.c.cmd("x" * MIB, "y" * MIB)
        self.assertIsInstance(reply, Error)
        self.assertIn("x" * 128, reply)
        self.assertNotIn("x" * 129, reply)
        self.assertLess(len(reply), 400)

    def test_line_ends_never_reach_an_error_line(self):
        for args in (["NO\r\n+OK\r\nSUCH", "a\r\n:1\r\n"], ["CONFIG", "SET", "no\r\nsuch", "1"],
                     ["CLIENT", "NO\r\nSUCH"], ["HELLO", "2", "x\r\ny"], ["COMMAND", "a\r\nb"]):
            self.assertIsInstance(self.c.cmd(*args), Error, args)
            self.assertEqual(self.c.cmd("PING"), "PONG", args)

    def test_an_announced_bulk_costs_nothing_until_it_comes(self):
        idle = [self.connect() for _ in range(100)]
        self.turn()
        before = self.tarn.rss()
        for c in idle:
            c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n")
        self.turn()
        self.assertLess((self.tarn.rss() - before) / len(idle), 64 * 1024)

    def test_proto_max_bulk_len_is_obeyed(self):
        self.assertEqual(self.c.cmd("CONFIG", "SET", "proto-max-bulk-len", "1mb"), "OK")
        self.addCleanup(self.c.cmd, "CONFIG", "SET", "proto-max-bulk-len", "512mb")
        with self.tarn.connect() as c:
            self.assertEqual(c.cmd("SET", "k", b"x" * MIB), "OK")
            c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (MIB + 1))
            self.assertEqual(c.until_closed(), b"-ERR Protocol error: invalid bulk length\r\n")


class NotForUs(TarnCase):
    """Other protocols that end up on this port by accident or by malice."""

    def no_effect(self, data):
        with self.tarn.connect() as c:
            c.send(data)
            answer = c.until_closed()
        self.assertIsNone(self.c.cmd("GET", "evil"), data)
        return answer

    def test_http_is_refused_and_nothing_behind_it_runs(self):
        for line in (b"POST / HTTP/1.1\r\n", b"post / http/1.1\r\n", b"Host: example.com\r\n", b"host: x\r\n"):
            with self.subTest(line=line):
                self.no_effect(line + b"SET evil 1\r\n" + encode("SET", "evil", "1"))

    def test_a_request_body_holding_commands_is_not_executed(self):
        body = b"*3\r\n$3\r\nSET\r\n$4\r\nevil\r\n$1\r\n1\r\n"
        for method in (b"GET", b"PUT", b"OPTIONS", b"POST"):
            with self.subTest(method=method):
                head = method + b" /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
                self.no_effect(head + body)

    def test_other_protocols_are_cut_off_at_once(self):
        first_bytes = {"TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                       "PostgreSQL": b"\0\0\0\x08\x04\xd2\x16/",
                       "SMB": b"\0\0\0\x54\xffSMB"}
        for name, data in first_bytes.items():
            with self.subTest(protocol=name):
                answer = self.no_effect(data)
                self.assertEqual(answer, b"")

    def test_memcached_and_gopher_lines_get_errors(self):
        for line in (b"stats\r\n", b"version\r\n", b"get evil\r\nset evil 0 0 1\r\n1\r\n", b"/a/path\r\n"):
            with self.subTest(line=line), self.tarn.connect() as c:
                c.send(line + encode("QUIT"))
                self.assertIn(b"-ERR ", c.until_closed())
            self.assertIsNone(self.c.cmd("GET", "evil"))


class ForeignProtocolLog(TarnCase):
    """With a server of its own: such lines are limited per second."""

    def test_the_log_names_the_peer(self):
        with self.tarn.connect() as c:
            peer = "%s:%d" % c.sock.getsockname()
            c.send(b"POST / HTTP/1.1\r\n\r\n")
            c.until_closed()
        self.assertIn(peer, self.tarn.log())


class Versions(CompareCase):
    """RESP2, RESP3 and HELLO."""

    def same(self, *requests):
        """The same requests on a fresh connection to each server give the same bytes."""
        answers = []
        for server in (self.redis, self.tarn):
            with server.connect() as c:
                c.send(b"".join(encode(*r) for r in requests) + encode("QUIT"))
                answers.append(c.until_closed())
        self.assertEqual(answers[1], answers[0], requests)

    def test_hello_describes_the_server(self):
        for version in ((), ("2",), ("3",)):
            expected, got = self.r.cmd("HELLO", *version), self.c.cmd("HELLO", *version)
            self.assertIs(type(got), type(expected))
            if isinstance(got, dict):
                self.assertEqual(list(got), list(expected))
                self.assertEqual(got[b"proto"], 3)
            else:
                self.assertEqual(got[::2], expected[::2])

    def test_hello_errors(self):
        self.same(("HELLO", "4"), ("HELLO", "abc"), ("HELLO", "3", "SETNAME"), ("HELLO", "3", "FOO"),
                  ("HELLO", "3", "SETNAME", "a b"), ("HELLO", "3", "AUTH", "default"), ("HELLO", "-1"),
                  ("HELLO", "3", "AUTH", "nobody", "x"), ("CLIENT", "GETNAME"))

    def test_hello_with_auth_and_setname_in_any_order(self):
        for words in (["AUTH", "default", "any", "SETNAME", "n1"], ["SETNAME", "n2", "AUTH", "default", "any"]):
            with self.tarn.connect() as c:
                self.assertIsInstance(c.cmd("HELLO", "3", *words), dict)
                self.assertEqual(c.cmd("CLIENT", "GETNAME"), words[words.index("SETNAME") + 1].encode())

    def test_null_has_its_own_form_in_resp3(self):
        self.c.send(encode("GET", "none"))
        self.assertEqual(self.c.raw_reply(), b"$-1\r\n")
        self.c.cmd("HELLO", "3")
        self.c.send(encode("GET", "none"))
        self.assertEqual(self.c.raw_reply(), b"_\r\n")

    def test_reset_returns_to_the_start(self):
        self.same(("SELECT", "3"), ("CLIENT", "SETNAME", "x"), ("RESET",), ("CLIENT", "GETNAME"), ("SET", "k", "v"))
        self.assertEqual(self.c.cmd("GET", "k"), b"v")
        with self.tarn.connect() as c:
            c.cmd("HELLO", "3")
            c.cmd("RESET")
            c.send(encode("GET", "none"))
            self.assertEqual(c.raw_reply(), b"$-1\r\n")

    def test_maps_and_verbatim_strings(self):
        self.c.cmd("HELLO", "3")
        self.assertEqual(self.c.cmd("CONFIG", "GET", "maxclients"), {b"maxclients": b"10000"})
        self.c.send(encode("INFO", "server"))
        self.assertEqual(self.c.raw_reply()[:1], b"=")
        self.assertIsInstance(self.c.cmd("COMMAND", "DOCS", "get"), dict)

    def test_auth_without_a_password(self):
        self.same(("AUTH", "x"), ("AUTH", "default", "x"), ("AUTH", "nobody", "x"), ("AUTH",), ("AUTH", "a", "b", "c"))
