"""What docs/read-through.md shows is what happens: its transcripts, command by command in one folder, and its tables."""
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from tarn import free_port, tarn_binary, until

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PAGE = os.path.join(TOP, "docs", "read-through.md")
SECONDS = 20  # for what takes its time, like a notice


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def transcript(page):
    """(command, what it prints) of every line that begins with a dollar."""
    steps = []
    for block in re.findall(r"(?:^    .*\n)+", page, re.M):
        if not block.startswith("    $ "):
            continue
        for line in block.splitlines():
            if line.startswith("    $ "):
                steps.append((line[6:], []))
            else:
                steps[-1][1].append(line[4:])
    return [(command, "\n".join(lines)) for command, lines in steps]


def looks_like(shown, printed):
    """`…` stands for anything within a line."""
    return re.fullmatch(re.escape(shown).replace("…", "[^\n]*"), printed) is not None


class Transcripts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tarn-docs-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.port = free_port()
        self.path = os.path.join(self.folder, "bin")
        os.mkdir(self.path)
        for name, command in (("tarn", f'exec "{tarn_binary()}" "$@" --port {self.port}'),
                              ("redis-cli", f'exec "{shutil.which("redis-cli")}" -p {self.port} "$@"')):
            with open(os.path.join(self.path, name), "w", encoding="utf-8") as f:
                f.write(f"#!/bin/sh\n{command}\n")
            os.chmod(f.name, 0o755)
        self.env = {**os.environ, "PATH": self.path + os.pathsep + os.environ["PATH"]}

    def run_command(self, command):
        done = subprocess.run(command, shell=True, cwd=self.folder, env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.stdout.rstrip("\n")

    def start(self, command):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            server = subprocess.Popen("exec " + command.removesuffix("&"), shell=True, cwd=self.folder, env=self.env,
                                      stdout=log, stderr=log)

        def end():
            server.terminate()
            server.wait(timeout=SECONDS)
        self.addCleanup(end)
        until(lambda: self.run_command("redis-cli PING") == "PONG", "the server to answer")

    def check(self, command, shown):
        """What is read may take a moment to be as shown; what changes something is done once."""
        deadline = time.monotonic() + SECONDS
        printed = self.run_command(command)
        reads = command.startswith(("redis-cli GET", "redis-cli SOURCE TEST"))
        while reads and not looks_like(shown, printed) and time.monotonic() < deadline:
            time.sleep(0.01)
            printed = self.run_command(command)
        self.assertTrue(looks_like(shown, printed), f"$ {command}\n{printed}\ninstead of\n{shown}")
        if "SOURCE DDL" in command:  # who types is slower than the feed, which now finds its table
            until(lambda: ",feed=up," in self.run_command("redis-cli INFO sources"), "the feed")

    def test_transcripts(self):
        steps = transcript(read(PAGE))
        self.assertGreater(len(steps), 10)
        for command, shown in steps:
            file = command.removeprefix("cat ")
            if file != command:
                with open(os.path.join(self.folder, file), "w", encoding="utf-8") as f:
                    f.write(shown + "\n")
            elif command.endswith("&"):
                self.start(command)
            else:
                self.check(command, shown)


class Completeness(unittest.TestCase):
    def test_every_option_of_sources_and_maps_is_explained(self):
        page = read(PAGE)
        for title in ("Options of a source", "Options of a map"):
            section = read(os.path.join(TOP, "docs", "configuration.md")).partition(f"\n## {title}\n")[2].partition("\n## ")[0]
            options = re.findall(r"^\| `([^`]+)`", section, re.M)
            self.assertGreater(len(options), 20)
            self.assertEqual([o for o in options if not re.search(rf"`[^`\n]*(?<![\w-]){o}(?![\w-])[^`\n]*`|^    .*(?<![\w-]){o} ",
                                                                  page, re.M)], [])

    def test_every_error_is_explained(self):
        section = read(PAGE).partition("\n## Errors\n")[2].partition("\n## ")[0]
        told = set(re.findall(r"^\| `(SOURCE[A-Z]+)`", section, re.M))
        used = set()
        for layer in ("source", "command"):
            folder = os.path.join(TOP, "src", layer)
            for name in os.listdir(folder):
                used.update(re.findall(r'"(SOURCE[A-Z]+)\b', read(os.path.join(folder, name))))
        self.assertEqual(used - {"SOURCE"}, told)
