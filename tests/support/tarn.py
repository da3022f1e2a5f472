"""Starts servers for tests and stops them again: tarn itself, and redis-server to compare with.

The binary is named by TARN_BIN, or is build/src/tarn. Each server gets a folder of its own, a random free port on
127.0.0.1, and is stopped by its own process id. Waiting is always for a condition, with a deadline; nothing sleeps and hopes.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from resp import Connection

START_SECONDS = 30  # generous: a sanitizer build on a busy machine
STOP_SECONDS = 20

EXIT_UNAVAILABLE = 69  # tarn: the address is in use


def until(condition, what, seconds=20):
    """Polls until condition() is true and returns its value; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting after {seconds} s for: {what}")
        time.sleep(0.005)


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def tarn_binary():
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = os.path.abspath(os.environ.get("TARN_BIN") or os.path.join(top, "build", "src", "tarn"))
    if not os.path.exists(path):
        raise AssertionError(f"there is no {path}: TARN_BIN names the server under test")
    return path


def is_address_sanitized():
    """Its shadow memory and quarantine make the resident size of the process say nothing."""
    return "address" in os.environ.get("TARN_SANITIZER", "")


def run_tarn(*args, stdin=None, timeout=30):
    """Runs the binary to its end (--help, a broken configuration); returns the CompletedProcess."""
    return subprocess.run([tarn_binary(), *args], input=stdin, capture_output=True, text=True,
                          timeout=timeout, check=False)


class Server:
    """A server process. Use as a context manager, or call stop()."""
    name = "server"

    def __init__(self, command, port, wait=True, preexec=None, unix=None):
        self.port = port
        self.unix = unix
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=preexec)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop(check=kind is None)

    @property
    def address(self):
        return ("127.0.0.1", self.port) if self.port else self.unix

    @property
    def pid(self):
        return self.process.pid

    def connect(self, timeout=20):
        return Connection(self.address, timeout)

    def wait_ready(self):
        def answers():
            if self.process.poll() is not None:
                raise ChildProcessError(f"exit {self.process.returncode} at start:\n{self.log()}")
            return self.is_serving()
        until(answers, "the server to answer PING", START_SECONDS)

    def is_alive(self):
        return self.process.poll() is None

    def is_serving(self):
        try:
            with self.connect(timeout=START_SECONDS) as c:
                return c.cmd("PING") in ("PONG", "NOAUTH Authentication required.")
        except OSError:
            return False

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, seconds=STOP_SECONDS):
        return self.process.wait(timeout=seconds)

    def kill(self):
        if self.is_alive():
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self, check=True):
        """Ends the server in order; with check, anything but a clean exit 0 fails the test."""
        if self.is_alive():
            self.process.terminate()
        try:
            code = self.process.wait(timeout=STOP_SECONDS)
            if check and code != 0:
                raise AssertionError(f"exit code {code}:\n{self.log()[-8000:]}")
        finally:
            self.kill()

    # What the kernel says about the process.

    def rss(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def anonymous_bytes(self):
        """What the process holds beside the files of its program and libraries."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon:"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Tarn(Server):
    """tarn with `config` (text of its file) and `args` behind it, listening on port unless port is 0."""
    name = "tarn"

    def __init__(self, *args, config="", port=None, unix=None, wait=True, preexec=None):
        for attempt in range(5):
            self.dir = tempfile.mkdtemp(prefix="tarn-test-")
            path = os.path.join(self.dir, "tarn.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(config)
            chosen = free_port() if port is None else port
            command = [tarn_binary(), path, "--port", str(chosen), *args]
            if unix:
                command += ["--unixsocket", unix]
            try:
                super().__init__(command, chosen, wait, preexec, unix)
                return
            except ChildProcessError:
                # Somebody else took the port between our look and the start: take another.
                if port is not None or attempt == 4 or self.process.returncode != EXIT_UNAVAILABLE:
                    raise


class Redis(Server):
    """redis-server without persistence, for comparison."""
    name = "redis-server"

    def __init__(self, *args, port=None, preexec=None):
        self.dir = tempfile.mkdtemp(prefix="tarn-redis-")
        chosen = port or free_port()
        binary = shutil.which("redis-server")
        if binary is None:
            raise AssertionError("redis-server is not installed (script/setup test)")
        super().__init__([binary, "--port", str(chosen), "--bind", "127.0.0.1", "--save", "",
                          "--appendonly", "no", "--dir", self.dir, "--enable-debug-command", "yes", *args],
                         chosen, preexec=preexec)


def stop_on_signal(process_signal=signal.SIGTERM):
    """Lets `finally` and `with` run when a test runner is told to stop."""
    def raise_exit(number, frame):
        raise SystemExit(128 + number)
    signal.signal(process_signal, raise_exit)
