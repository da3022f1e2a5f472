"""A TCP proxy between a server under test and a database, that can hold bytes back, cut connections and refuse new ones."""
import select
import socket
import threading

from tarn import free_port


class Proxy:
    """Listens on self.port of 127.0.0.1 and passes bytes to and from target (host, port)."""

    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.lock = threading.Lock()
        self.links = []  # pairs of sockets
        self.is_held = False
        self.is_ended = False
        self.accepted = 0
        self.wake_out, self.wake_in = socket.socketpair()
        self.listener = None
        self.accept()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def _poke(self):
        self.wake_in.send(b"x")

    def accept(self):
        """New connections are accepted (as at the beginning)."""
        with self.lock:
            if self.listener is None:
                self.listener = socket.create_server(("127.0.0.1", self.port))
        self._poke()

    def refuse(self):
        """New connections are refused."""
        with self.lock:
            if self.listener is not None:
                self.listener.close()
                self.listener = None
        self._poke()

    def hold(self):
        """No byte passes either way; new connections are accepted and silent."""
        self.is_held = True
        self._poke()

    def release(self):
        self.is_held = False
        self._poke()

    def cut(self):
        """All connections end; returns how many there were."""
        with self.lock:
            links, self.links = self.links, []
        for pair in links:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)  # wakes whoever waits on it, which close() does not
                except OSError:
                    pass
                end.close()
        self._poke()
        return len(links)

    def stop(self):
        self.is_ended = True
        self._poke()
        self.thread.join()
        self.cut()
        self.refuse()
        self.wake_in.close()
        self.wake_out.close()

    def _drop(self, pair):
        with self.lock:
            if pair in self.links:
                self.links.remove(pair)
        for end in pair:
            end.close()

    def _accept_one(self):
        try:
            near, _ = self.listener.accept()
        except (OSError, AttributeError):
            return
        self.accepted += 1
        try:
            far = socket.create_connection(self.target, timeout=5)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.links.append((near, far))

    def _pass(self, pair, end):
        other = pair[1] if end is pair[0] else pair[0]
        try:
            data = end.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        self._drop(pair)

    def _run(self):
        while not self.is_ended:
            with self.lock:
                ends = {} if self.is_held else {end: pair for pair in self.links for end in pair}
                listener = self.listener
            wanted = [self.wake_out, *ends] + ([listener] if listener else [])
            try:
                ready, _, _ = select.select(wanted, [], [], 1)
            except (OSError, ValueError):
                continue  # one was closed meanwhile
            for one in ready:
                if one is self.wake_out:
                    self.wake_out.recv(4096)
                elif one is listener:
                    self._accept_one()
                elif not self.is_held and ends[one] in self.links:
                    self._pass(ends[one], one)
