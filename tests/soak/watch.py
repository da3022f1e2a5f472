"""What the soak tests share: filling a server in the background while its memory is sampled."""
import os
import subprocess
import threading
import time

SAMPLE_SECONDS = 0.1


def seconds_per_policy():
    return float(os.environ["SOAK_SECONDS"])


def start_fill(server, *args):
    return subprocess.Popen([os.environ["FILL"], *map(str, args), f"127.0.0.1:{server.port}"],
                            stdout=subprocess.PIPE, text=True)


def finish_fill(process):
    """Waits for it; returns (requests, errors)."""
    out = process.communicate()[0]
    if process.returncode != 0:
        raise AssertionError(f"fill ended with {process.returncode}: {out}")
    words = out.split()
    return int(words[0]), int(words[2])


def fill(server, *args):
    return finish_fill(start_fill(server, *args))


class Samples:
    """Samples the resident memory of a server every 100 ms while the block runs."""

    def __init__(self, server):
        self.server = server
        self.rss = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.is_set():
            self.rss.append(self.server.rss())
            self.ended.wait(SAMPLE_SECONDS)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.ended.set()
        self.thread.join()


def info(connection, section):
    text = connection.cmd("INFO", section).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
