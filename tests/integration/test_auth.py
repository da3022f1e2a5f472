"""Passwords and protected mode."""
import os
import socket
import tempfile
import time
import unittest

from case import TarnCase
from resp import encode
from tarn import Redis, Tarn, until

NOAUTH = "NOAUTH Authentication required."
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."


def outside_address():
    """An address of this machine that is not a loopback one, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


class Password(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tarn = Tarn("--requirepass", "secret")
        cls.addClassCleanup(cls.tarn.stop)
        cls.redis = Redis("--requirepass", "secret")
        cls.addClassCleanup(cls.redis.stop)

    def both(self):
        links = self.redis.connect(), self.tarn.connect()
        for link in links:
            self.addCleanup(link.close)
        return links

    def test_replies_are_those_of_redis(self):
        scripts = [
            ["PING", "GET a", "FOO", "GET", "AUTH wrong", "AUTH default wrong", "AUTH nobody secret", "AUTH", "AUTH a b c",
             "ECHO x", "AUTH secret", "PING", "AUTH wrong", "PING", "RESET", "PING", "AUTH default secret", "PING"],
            ["HELLO", "HELLO 3", "HELLO 3 SETNAME x", "HELLO 3 AUTH default wrong", "HELLO 4", "MULTI", "EXEC",
             "SUBSCRIBE a", "CLIENT ID", "AUTH secret", "MULTI", "EXEC"],
            ["QUIT"],
        ]
        for script in scripts:
            r, c = self.both()
            for line in script:
                for link in (r, c):
                    link.send(encode(*line.split()))
                self.assertEqual(c.raw_reply(), r.raw_reply(), line)

    def test_hello_authenticates(self):
        with self.tarn.connect() as c:
            reply = c.cmd("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me")
            self.assertEqual(reply[b"proto"], 3)
            self.assertEqual(c.cmd("CLIENT", "GETNAME"), b"me")

    def test_it_is_never_shown(self):
        with self.tarn.connect() as c:
            self.assertEqual(c.cmd("AUTH", "secret"), "OK")
            self.assertEqual(c.cmd("CONFIG", "GET", "requirepass"), [b"requirepass", b""])
            self.assertEqual(c.cmd("CONFIG", "SET", "requirepass", "secret"), "OK")
            self.assertNotIn(b"secret", c.cmd("INFO", "everything"))
        self.assertNotIn("secret", self.tarn.log())
        with open(f"/proc/{self.tarn.pid}/cmdline", "rb") as line:
            self.assertNotIn(b"secret", line.read())

    def test_strangers_may_send_little(self):
        with self.tarn.connect() as c:
            c.send(b"*11\r\n")
            self.assertEqual(c.until_closed(), b"-ERR Protocol error: unauthenticated multibulk length\r\n")
        with self.tarn.connect() as c:
            c.send(b"*2\r\n$4\r\nAUTH\r\n$16385\r\n")
            self.assertEqual(c.until_closed(), b"-ERR Protocol error: unauthenticated bulk length\r\n")

    def test_strangers_who_do_not_read_are_closed(self):
        with self.tarn.connect() as c:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with self.assertRaises(OSError):
                for _ in range(100000):
                    c.send(b"PING\r\n" * 1000)
        until(lambda: "client-output-buffer-limit" in self.tarn.log(), "the log to say why")


class Changing(TarnCase):
    def test_a_password_set_later(self):
        self.assertTrue(self.c.cmd("AUTH", "x").startswith("ERR AUTH <password> called without any password"))
        self.assertEqual(self.c.cmd("AUTH", "default", "anything"), "OK")
        self.assertEqual(self.c.cmd("CONFIG", "SET", "requirepass", "first"), "OK")
        self.addCleanup(lambda: self.c.cmd("CONFIG", "SET", "requirepass", ""))
        self.assertEqual(self.c.cmd("PING"), "PONG")  # who is in stays in
        other = self.connect()
        self.assertEqual(other.cmd("PING"), NOAUTH)
        self.assertEqual(other.cmd("AUTH", "first"), "OK")
        third = self.connect()
        self.assertEqual(self.c.cmd("CONFIG", "SET", "requirepass", "second"), "OK")
        self.assertEqual(third.cmd("AUTH", "first"), WRONGPASS)
        self.assertEqual(third.cmd("AUTH", "second"), "OK")
        fourth = self.connect()
        self.assertEqual(self.c.cmd("CONFIG", "SET", "requirepass", ""), "OK")
        self.assertEqual(fourth.cmd("PING"), "PONG")

    def test_a_digest_instead_of_the_password(self):
        digest = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
        with Tarn("--requirepass", digest) as server, server.connect() as c:
            self.assertEqual(c.cmd("AUTH", digest), WRONGPASS)
            self.assertEqual(c.cmd("AUTH", "secret"), "OK")

    def test_guessing_becomes_slow(self):
        with Tarn("--requirepass", "secret") as server, server.connect() as good:
            self.assertEqual(good.cmd("AUTH", "secret"), "OK")
            start = time.monotonic()
            for _ in range(11):
                with server.connect() as c:
                    self.assertEqual(c.cmd("AUTH", "guess"), WRONGPASS)
            self.assertGreater(time.monotonic() - start, 0.9)
            start = time.monotonic()
            self.assertEqual(good.cmd("PING"), "PONG")
            self.assertLess(time.monotonic() - start, 0.9)
            stats = good.cmd("INFO", "stats").decode()
            self.assertIn("acl_access_denied_auth:11\r\n", stats)
            until(lambda: "wrong passwords from 127.0.0.1" in server.log(), "the log to tell")


class ProtectedMode(unittest.TestCase):
    def test_outside_clients_are_refused_until_there_is_a_password(self):
        address = outside_address()
        if address is None:
            self.skipTest("this machine has no address beside the loopback one; the unit test has made-up peers")
        with Tarn("--bind", "0.0.0.0") as server, server.connect() as inside:
            outside = (address, server.port)

            def first_reply():
                c = socket.create_connection(outside, 20)
                with c:
                    c.sendall(encode("PING"))
                    return c.recv(100000)
            self.assertTrue(first_reply().startswith(b"-DENIED Tarn is running in protected mode"))
            self.assertEqual(inside.cmd("PING"), "PONG")
            self.assertEqual(inside.cmd("CONFIG", "SET", "requirepass", "secret"), "OK")
            self.assertTrue(first_reply().startswith(b"-NOAUTH"))
            self.assertEqual(inside.cmd("CONFIG", "SET", "requirepass", "", "protected-mode", "no"), "OK")
            self.assertEqual(first_reply(), b"+PONG\r\n")

    def test_the_unix_socket_is_inside(self):
        with tempfile.TemporaryDirectory() as folder, Tarn(port=0, unix=os.path.join(folder, "socket")) as server, \
                server.connect() as c:
            self.assertEqual(c.cmd("PING"), "PONG")


if __name__ == "__main__":
    unittest.main()
