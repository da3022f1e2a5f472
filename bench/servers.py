"""The servers that are compared: how each kind is started, asked and stopped.

Every server gets a folder of its own, a random port on 127.0.0.1, one core, and no persistence. A server that is not
being measured is stopped by SIGSTOP, so that several can hold their data without taking time from one another. If
this process ends without ending them, the kernel does.
"""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))

from resp import Connection  # noqa: E402
from tarn import free_port, stop_on_signal  # noqa: E402

CLIENTS_MAX = 20000
FILES_MAX = 2 * CLIENTS_MAX
NO_LIMIT_MIB = 65536  # memcached always has a limit
START_SECONDS = 60
START_POLL_SECONDS = 0.0005
STOP_SECONDS = 60
MIB = 1 << 20


def tarn_command(binary, port, limit, directory):
    return [binary, "--port", str(port), "--bind", "127.0.0.1", "--maxclients", str(CLIENTS_MAX),
            "--maxmemory", str(limit)]


def redis_command(binary, port, limit, directory):
    return [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory,
            "--maxclients", str(CLIENTS_MAX), "--maxmemory", str(limit), "--maxmemory-policy", "allkeys-lru"]


def memcached_command(binary, port, limit, directory):
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    return [binary, "-t", "1", "-p", str(port), "-U", "0", "-l", "127.0.0.1", "-c", str(CLIENTS_MAX),
            "-m", str(limit // MIB or NO_LIMIT_MIB)] + user


def floor_command(binary, port, limit, directory):
    return [binary, str(port)]


# What `--version` says -> how it is started. The first word that fits decides.
COMMANDS = {"tarn": tarn_command, "redis": redis_command, "valkey": redis_command, "memcached": memcached_command,
            "floor": floor_command}
PACKAGED = ("redis-server", "valkey-server", "memcached")


class Program:
    """A server that can be started: its name in the tables, its file, its kind and version."""

    def __init__(self, name, path):
        self.name = name
        self.path = shutil.which(path) or ""
        if not self.path:
            raise LookupError(f"{name}: there is no program {path}")
        self.path = os.path.abspath(self.path)
        said = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False, timeout=30)
        text = said.stdout.strip() or said.stderr.strip()
        self.kind = next((kind for kind in COMMANDS if kind in text.lower()), None)
        if self.kind is None:
            raise LookupError(f"{name}: {path} --version says nothing of {', '.join(COMMANDS)}: {text[:80]!r}")
        version = re.search(r"v=(\S+)|(\d+(?:\.\d+)+)", text)
        self.version = (version.group(1) or version.group(2)) if version else "?"

    @property
    def load_arguments(self):
        """For tarn-load."""
        return ["--protocol", self.protocol] + (["--unchecked"] if self.is_floor else [])

    @property
    def is_floor(self):
        """It keeps nothing: see floor.c."""
        return self.kind == "floor"

    @property
    def protocol(self):
        return "memcached" if self.kind == "memcached" else "resp"


def packaged():
    """The peers that are installed."""
    return [Program(name, name) for name in PACKAGED if shutil.which(name)]


def give_files():
    """Lets this process and its children have enough sockets."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Server:
    """A running server; a context manager."""

    def __init__(self, program, core, limit=0):
        self.program = program
        self.name = program.name
        self.port = free_port()
        self.dir = tempfile.mkdtemp(prefix="tarn-bench-")
        os.chmod(self.dir, 0o755)
        command = COMMANDS[program.kind](program.path, self.port, limit, self.dir)
        started = time.monotonic()
        with open(os.path.join(self.dir, "log"), "wb") as log:
            around = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core)]
            self.process = subprocess.Popen(around + command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        try:
            while not self.answers():
                if time.monotonic() - started > START_SECONDS:
                    raise TimeoutError(f"{self.name} does not answer:\n{self.log()[-2000:]}")
                time.sleep(START_POLL_SECONDS)
            self.start_seconds = time.monotonic() - started
            self.pid = self.ask_pid()
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self):
        if hasattr(self, "pid"):
            os.kill(self.pid, signal.SIGCONT)

    # ---- asked through its protocol ----

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def answers(self):
        if self.process.poll() is not None:
            raise ChildProcessError(f"{self.name} ended with {self.process.returncode}:\n{self.log()[-2000:]}")
        try:
            with Client(self) as c:
                return c.ping()
        except OSError:
            return False

    def ask_pid(self):
        """The server's own answer: what was started may be a script around it."""
        with Client(self) as c:
            return int(c.info("server", "process_id", "pid"))

    def entries(self):
        with Client(self) as c:
            return c.entries()

    # ---- what the kernel says ----

    def rss(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def rss_max(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024

    def cpu_seconds(self):
        """User and system time of all threads, to the nanosecond."""
        # The id of another process's CPU clock, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~self.pid << 3) | 2)


class Client:
    """The few requests that are made outside the measured load, in either protocol."""

    def __init__(self, server):
        self.is_memcached = server.program.protocol == "memcached"
        if self.is_memcached:
            self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            self.file = self.socket.makefile("rwb")
        else:
            self.connection = Connection(("127.0.0.1", server.port), 30)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        if self.is_memcached:
            self.file.close()
            self.socket.close()
        else:
            self.connection.close()

    def say(self, data, end):
        """Sends to memcached and returns the lines up to the one that is `end`, or that begins so."""
        self.file.write(data)
        self.file.flush()
        lines = []
        while not lines or not lines[-1].startswith(end):
            line = self.file.readline()
            if not line:
                raise ConnectionError("memcached closed the connection")
            lines.append(line)
        return lines

    def ping(self):
        if self.is_memcached:
            return bool(self.say(b"version\r\n", b"VERSION"))
        return self.connection.cmd("PING") == "PONG"

    def set(self, key, value):
        if self.is_memcached:
            self.say(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED")
        else:
            self.connection.cmd("SET", key, value)

    def get(self, key):
        if self.is_memcached:
            self.say(b"get %s\r\n" % key, b"END")
        else:
            self.connection.cmd("GET", key)

    def info(self, section, name, memcached_name):
        if self.is_memcached:
            for line in self.say(b"stats\r\n", b"END"):
                words = line.split()
                if words[:2] == [b"STAT", memcached_name.encode()]:
                    return words[2].decode()
        else:
            text = self.connection.cmd("INFO", section)
            text = text.decode() if isinstance(text, bytes) else text
            for line in text.split("\r\n"):
                if line.startswith(name + ":"):
                    return line.split(":", 1)[1]
        raise LookupError(f"no {name}")

    def entries(self):
        if self.is_memcached:
            return int(self.info("", "", "curr_items"))
        return self.connection.cmd("DBSIZE")
