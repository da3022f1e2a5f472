"""Runs a program written with a client library of another language, and counts what it finds, case by case.

The program is started once with the server's port behind its arguments. It prints a line for each case: `ok NAME`, or
`not ok NAME` behind lines that begin with `#` and say why, or `skip NAME REASON`. The line `restart` asks for a
new server on the same port; a line comes back on the program's standard input when that one serves.
"""
import functools
import os
import subprocess
import threading

from case import TarnCase
from tarn import Tarn

PROGRAM_SECONDS = 60

HERE = os.path.dirname(os.path.abspath(__file__))

# What the build made for these tests.
BUILD = os.environ.get("CLIENTS_BUILD") or os.path.join(HERE, "..", "..", "..", "build", "tests", "integration", "clients")


class ProgramCase(TarnCase):
    """Subclasses set `command`, the words before the port, and `cases`, the names that the program shall report."""
    command = ()
    cases = ""

    def __init_subclass__(cls):
        for name in cls.cases.split():
            setattr(cls, f"test_{name}", functools.partialmethod(cls.check, name))

    @classmethod
    def unavailable(cls):
        """Returns why the program cannot run on this machine; None if it can."""
        return None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reason = cls.unavailable()
        cls.found, cls.output = {}, []
        if cls.reason is None:
            cls.run_program()

    @classmethod
    def run_program(cls):
        with subprocess.Popen([*cls.command, str(cls.tarn.port)], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
            limit = threading.Timer(PROGRAM_SECONDS, program.kill)
            limit.start()
            try:
                for line in program.stdout:
                    cls.take(program, line.rstrip("\n"))
            finally:
                limit.cancel()
                program.kill()
        cls.output.append(f"exit code {program.returncode}")

    @classmethod
    def take(cls, program, line):
        words = line.split(" ", 2)
        if line == "restart":
            cls.tarn.stop()
            cls.tarn = Tarn(*cls.args, config=cls.config, port=cls.tarn.port)
            program.stdin.write("restarted\n")
            program.stdin.flush()
        elif words[0] in ("ok", "skip") and len(words) > 1:
            cls.found[words[1]] = (words[0], words[-1])
        elif words[:2] == ["not", "ok"]:
            cls.found[words[2]] = ("not ok", "\n".join(cls.output))
            cls.output = []
        else:
            cls.output.append(line)

    def check(self, name):
        if self.reason is not None:
            self.skipTest(self.reason)
        verdict, text = self.found.get(name, ("nothing", "\n".join(self.output)))
        if verdict == "skip":
            self.skipTest(text)
        self.assertEqual(verdict, "ok", text)

    def test_cases_are_listed(self):
        """A case of the program that nobody waits for would not count."""
        if self.reason is not None:
            self.skipTest(self.reason)
        self.assertEqual(sorted(self.found), sorted(self.cases.split()), "\n".join(self.output))
