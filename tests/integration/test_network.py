"""Connections: listeners, limits, timeouts, slow and silent clients."""
import os
import resource
import signal
import socket
import tempfile
import threading
import time
import unittest

from case import TarnCase
from resp import Connection, encode
from tarn import Tarn, free_port, is_address_sanitized, until

MIB = 1 << 20
PONG = b"+PONG\r\n"


def has_ipv6():
    try:
        free_port("::1")
        return True
    except OSError:
        return False


class Listeners(unittest.TestCase):
    def test_ipv4_and_ipv6_loopback_by_default(self):
        with Tarn() as tarn:
            with Connection(("127.0.0.1", tarn.port)) as c:
                self.assertEqual(c.cmd("PING"), "PONG")
            if has_ipv6():
                with Connection(("::1", tarn.port)) as c:
                    self.assertEqual(c.cmd("PING"), "PONG")

    def test_bind_chooses_the_addresses(self):
        with Tarn("--bind", "127.0.0.1") as tarn:
            with Connection(("127.0.0.1", tarn.port)) as c:
                self.assertEqual(c.cmd("PING"), "PONG")
            with self.assertRaises(OSError):
                Connection(("127.0.0.2", tarn.port))

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with Tarn("--unixsocketperm", "700", port=0, unix=path) as tarn:
                with tarn.connect() as c:
                    self.assertEqual(c.cmd("SET", "k", "v"), "OK")
                    self.assertIn(path.encode(), c.cmd("CLIENT", "LIST"))
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)
            self.assertFalse(os.path.exists(path), "the socket's file stays behind")

    def test_a_stale_socket_file_is_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as left_behind:
                left_behind.bind(path)
            with Tarn(port=0, unix=path) as tarn, tarn.connect() as c:
                self.assertEqual(c.cmd("PING"), "PONG")

    def test_no_udp(self):
        with Tarn() as tarn:
            table = "".join(open(f"/proc/net/{name}", encoding="ascii").read() for name in ("udp", "udp6")
                            if os.path.exists(f"/proc/net/{name}"))
            self.assertNotIn(f":{tarn.port:04X} ", table)


class Turns(TarnCase):
    """A turn of the loop ends after a while, whatever has arrived; the rest comes in the next ones."""
    CLIENTS = 20
    ROUNDS = 40
    ECHO = b"e" * 40000

    def run_client(self, number, problems):
        with self.tarn.connect() as c:
            ask = encode("INCR", f"count:{number}") + encode("ECHO", self.ECHO) + encode("SET", f"k:{number}", "v" * 9000)
            c.send(ask * self.ROUNDS)
            for i in range(self.ROUNDS):
                replies = c.reply(), c.reply(), c.reply()
                if replies != (i + 1, self.ECHO, "OK"):
                    problems.append((number, i))
                    return

    def test_everybody_is_answered_in_order(self):
        problems = []
        threads = [threading.Thread(target=self.run_client, args=(i, problems)) for i in range(self.CLIENTS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(problems, [])
        for i in range(self.CLIENTS):
            self.assertEqual(self.c.cmd("GET", f"count:{i}"), b"%d" % self.ROUNDS)


class Limits(TarnCase):
    args = ("--maxclients", "10")

    def test_one_client_too_many_is_told_so(self):
        clients = [self.connect() for _ in range(9)]  # self.c is the tenth
        for c in clients:
            self.assertEqual(c.cmd("PING"), "PONG")
        with self.tarn.connect() as extra:
            self.assertEqual(extra.until_closed(), b"-ERR max number of clients reached\r\n")
        clients.pop().close()

        def place_is_free():
            with self.tarn.connect() as c:
                try:
                    return c.cmd("PING") == "PONG"
                except OSError:
                    return False
        until(place_is_free, "the place of the closed client")
        self.assertGreaterEqual(int(self.info("stats")["rejected_connections"]), 1)

    def test_maxclients_can_be_raised(self):
        self.assertEqual(self.c.cmd("CONFIG", "SET", "maxclients", "20"), "OK")
        clients = [self.connect() for _ in range(15)]
        for c in clients:
            self.assertEqual(c.cmd("PING"), "PONG")
        self.assertEqual(self.c.cmd("CONFIG", "SET", "maxclients", "10"), "OK")


class Timeouts(TarnCase):
    args = ("--timeout", "1")

    def test_an_idle_client_is_closed(self):
        with self.tarn.connect() as idle:
            start = time.monotonic()
            self.assertEqual(idle.until_closed(), b"")
            self.assertGreater(time.monotonic() - start, 0.9)

    def test_an_active_client_is_not(self):
        deadline = time.monotonic() + 2.5
        with self.tarn.connect() as c:
            while time.monotonic() < deadline:
                self.assertEqual(c.cmd("PING"), "PONG")
                time.sleep(0.1)  # a client that asks ten times a second


class SlowAndSilent(TarnCase):
    def test_a_reader_that_does_not_read_is_not_served_from_memory(self):
        """Back-pressure: with replies not taken, the server stops reading; nothing grows without end."""
        self.c.cmd("SET", "k", b"v" * 1000)
        before = self.tarn.rss()
        request = encode("GET", "k") * 1000
        total = 2000  # 44 MB of requests: the kernel's buffers take some, which differs from system to system
        with self.tarn.connect() as slow:
            slow.sock.settimeout(2)
            sent = 0
            try:
                while sent < total * len(request):
                    sent += slow.sock.send(request)
                self.fail("the server went on reading")
            except TimeoutError:
                pass
            self.assertLess(self.tarn.rss() - before, 64 * MIB)
            self.assertEqual(self.c.cmd("PING"), "PONG")
            # Everything asked for so far still comes, in order, once the client reads again.
            whole = sent // len(encode("GET", "k"))
            expected = b"$1000\r\n" + b"v" * 1000 + b"\r\n"
            slow.sock.settimeout(20)
            for _ in range(whole):
                self.assertTrue(slow.read_exactly(len(expected)) == expected)

    def test_a_slow_reader_gets_every_reply_in_order(self):
        count = 100000
        for i in range(10):
            self.c.cmd("SET", f"k{i}", f"value {i}")
        data = b"".join(encode("GET", f"k{i % 10}") for i in range(count))
        with self.tarn.connect() as slow:
            slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sender = threading.Thread(target=slow.send, args=(data,))
            sender.start()
            for i in range(count):
                self.assertEqual(slow.reply(), b"value %d" % (i % 10))
            sender.join()

    def test_half_close_after_a_pipeline_gets_all_answers(self):
        with self.tarn.connect() as c:
            c.send(encode("PING") * 10000)
            c.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(c.until_closed(), PONG * 10000)

    def test_quit_ends_a_pipeline_after_its_answer(self):
        with self.tarn.connect() as c:
            c.send(encode("PING") * 1000 + encode("QUIT") + encode("SET", "after", "quit") * 100)
            self.assertEqual(c.until_closed(), PONG * 1000 + b"+OK\r\n")
        self.assertIsNone(self.c.cmd("GET", "after"))

    def test_a_reset_in_the_middle_of_replies_is_survived(self):
        self.c.cmd("SET", "big", b"x" * MIB)
        for _ in range(50):
            c = self.tarn.connect()
            c.send(encode("GET", "big") * 20)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close sends RST
            c.close()
        self.turn()
        until(lambda: self.info("clients")["connected_clients"] == "1", "the reset connections to be gone")

    def test_connections_leave_nothing_behind(self):
        def settled():
            return self.info("clients")["connected_clients"] == "1"
        until(settled, "earlier clients to be gone")
        files = self.tarn.open_files()
        for _ in range(20):
            clients = [self.tarn.connect() for _ in range(50)]
            for c in clients:
                c.send(encode("PING"))
            for c in clients:
                self.assertEqual(c.reply(), "PONG")
                c.close()
        until(settled, "the closed clients to be gone")
        self.assertEqual(self.tarn.open_files(), files)

    def test_an_idle_client_costs_little(self):
        self.turn()
        before = self.tarn.rss()
        clients = [self.connect() for _ in range(500)]
        for c in clients:
            self.assertEqual(c.cmd("PING"), "PONG")
        if not is_address_sanitized():
            self.assertLess((self.tarn.rss() - before) / len(clients), 4096 + 1024)

    def test_client_kill_closes_another_client(self):
        with self.tarn.connect() as victim:
            number = victim.cmd("CLIENT", "ID")
            self.assertEqual(self.c.cmd("CLIENT", "KILL", "ID", number), 1)
            self.assertEqual(victim.until_closed(), b"")

    def test_client_kill_of_oneself_answers_first(self):
        with self.tarn.connect() as c:
            number = c.cmd("CLIENT", "ID")
            c.send(encode("CLIENT", "KILL", "ID", number, "SKIPME", "no") + encode("SET", "after", "kill"))
            self.assertEqual(c.until_closed(), b":1\r\n")
        self.assertIsNone(self.c.cmd("GET", "after"))


class OutOfFiles(unittest.TestCase):
    """accept() fails with EMFILE: no spinning, and recovery as soon as a descriptor is free."""
    FILES = 64

    def test_no_spinning_and_recovery(self):
        with Tarn() as tarn:
            # Lowered behind its back: at start it would lower maxclients to fit.
            resource.prlimit(tarn.pid, resource.RLIMIT_NOFILE, (self.FILES, self.FILES))
            clients = []
            for _ in range(self.FILES + 20):
                c = tarn.connect(timeout=5)
                clients.append(c)
                c.send(encode("PING"))
            first = clients[0]
            self.assertEqual(first.reply(), "PONG")
            cpu, start = tarn.cpu_seconds(), time.monotonic()
            while time.monotonic() - start < 2:
                time.sleep(0.2)
                self.assertEqual(first.cmd("PING"), "PONG")
            self.assertLess(tarn.cpu_seconds() - cpu, 0.2, "the server spins while it cannot accept")
            self.assertLess(len(tarn.log().splitlines()), 60, "the log is flooded")
            for c in clients[1:]:
                c.close()

            def accepts_again():
                with tarn.connect(timeout=5) as c:
                    try:
                        return c.cmd("PING") == "PONG"
                    except OSError:
                        return False
            until(accepts_again, "a new client to be served")
            first.close()


class FewFiles(unittest.TestCase):
    def limit(self, files):
        def apply():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        return apply

    def test_maxclients_is_lowered_to_what_the_limit_allows(self):
        with Tarn("--maxclients", "10000", preexec=self.limit(100)) as tarn, tarn.connect() as c:
            allowed = int(c.cmd("CONFIG", "GET", "maxclients")[1])
            self.assertTrue(0 < allowed < 100, allowed)
            self.assertIn("maxclients", tarn.log())

    def test_no_room_for_any_client_ends_the_start(self):
        with self.assertRaisesRegex(ChildProcessError, "exit 71"):
            Tarn(preexec=self.limit(16))


class Signals(unittest.TestCase):
    def test_sigpipe_and_sighup_do_not_end_the_server(self):
        with Tarn() as tarn:
            for number in (signal.SIGPIPE, signal.SIGHUP):
                tarn.signal(number)
                with tarn.connect() as c:
                    self.assertEqual(c.cmd("PING"), "PONG")

    def test_a_stopped_server_goes_on(self):
        with Tarn() as tarn, tarn.connect() as c:
            tarn.signal(signal.SIGSTOP)
            c.send(encode("PING"))
            self.assertTrue(c.is_quiet())
            tarn.signal(signal.SIGCONT)
            self.assertEqual(c.reply(), "PONG")


class KeepAlive(TarnCase):
    def test_tcp_keepalive_is_on(self):
        self.assertEqual(self.c.cmd("CONFIG", "GET", "tcp-keepalive"), [b"tcp-keepalive", b"300"])
        c = self.connect()
        c.cmd("PING")
        ours, theirs = f":{self.tarn.port:04X}", f":{c.sock.getsockname()[1]:04X}"
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f]
        timers = [row[5] for row in rows if row[1].endswith(ours) and row[2].endswith(theirs)]
        self.assertEqual([t[:2] for t in timers], ["02"], "no keepalive timer runs on the server's side")


if __name__ == "__main__":
    unittest.main()
