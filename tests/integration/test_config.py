"""Configuration files, arguments, exit codes, CONFIG, signals."""
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from case import TarnCase
from resp import Connection, Error, encode
from tarn import Tarn, free_port, run_tarn, tarn_binary, until

EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_CONFIG = 64, 69, 78


class CommandLine(unittest.TestCase):
    def config(self, text):
        f = tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8", delete=False)
        self.addCleanup(os.unlink, f.name)
        with f:
            f.write(text)
        return f.name

    def refused(self, text, *expected, code=EXIT_CONFIG):
        path = self.config(text)
        done = run_tarn(path, "--port", "0")
        self.assertEqual(done.returncode, code, done.stderr)
        for word in expected:
            self.assertIn(word, done.stderr.replace(path, "FILE"))

    def test_help_goes_to_stdout(self):
        done = run_tarn("--help")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, "")
        for word in ("--port", "--maxmemory", "--maxclients", "--check-config", "--version"):
            self.assertIn(word, done.stdout)

    def test_version(self):
        done = run_tarn("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^[Tt]arn \d+\.\d+\.\d+")

    def test_unknown_option_on_the_command_line(self):
        done = run_tarn("--prot", "7000")
        self.assertIn(done.returncode, (EXIT_USAGE, EXIT_CONFIG))
        self.assertIn("prot", done.stderr)
        self.assertIn("did you mean 'port'", done.stderr.lower().replace("--port", "port").replace('"', "'"))

    def test_unknown_option_in_the_file_names_file_and_line(self):
        self.refused("port 0\n\n# a comment\nmaxmemmory 100mb\n", "FILE:4", "maxmemmory", "maxmemory")

    def test_a_bad_value_names_file_and_line(self):
        self.refused("port 0\nmaxclients many\n", "FILE:2", "maxclients")
        self.refused("port 70000\n", "FILE:1", "port")
        self.refused("maxmemory 10furlongs\n", "FILE:1", "maxmemory")

    def test_unbalanced_quotes(self):
        self.refused('port 0\nunixsocket "/tmp/x\n', "FILE:2")

    def test_a_missing_file(self):
        done = run_tarn("/nowhere/tarn.conf")
        self.assertEqual(done.returncode, EXIT_CONFIG)
        self.assertIn("/nowhere/tarn.conf", done.stderr)

    def test_an_option_without_its_value(self):
        done = run_tarn("--port")
        self.assertIn(done.returncode, (EXIT_USAGE, EXIT_CONFIG))
        self.assertIn("port", done.stderr)

    def test_bad_maps_are_refused_with_their_line(self):
        self.refused('map m nosource "a:{id:int}" "SELECT 1 WHERE $id" as string\n', "FILE:1", "nosource")
        self.refused('source s sqlite x.db\nmap m s "a:{id:nosuchtype}" "SELECT $id" as string\n', "FILE:2",
                     "nosuchtype")
        self.refused('source s sqlite x.db\nmap m s "a:{id:int}" "SELECT $other" as string\n', "FILE:2", "other")
        self.refused('source s nodriver x.db\n', "FILE:1", "nodriver")
        self.refused('source s sqlite x.db\nmap m s "a:{id:int}" "SELECT $id" as string nosuchoption 1\n', "FILE:2",
                     "nosuchoption")
        self.refused('source s sqlite x.db\nmap m s "a:{x:str}" "SELECT $x" as string\n'
                     'map n s "a:{y:int}" "SELECT $y" as string\n', "FILE:3")

    def test_check_config(self):
        good = self.config("port 7000\nmaxmemory 64mb\n")
        done = run_tarn(good, "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run_tarn(self.config("prot 7000\n"), "--check-config")
        self.assertEqual(done.returncode, EXIT_CONFIG)

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = run_tarn("--port", str(port), "--bind", "127.0.0.1")
            self.assertEqual(done.returncode, EXIT_UNAVAILABLE)
            self.assertIn(f"127.0.0.1:{port}", done.stderr)

    def test_arguments_win_over_the_file(self):
        with Tarn("--maxclients", "77", config="maxclients 55\ntimeout 9\n") as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("CONFIG", "GET", "maxclients"), [b"maxclients", b"77"])
            self.assertEqual(c.cmd("CONFIG", "GET", "timeout"), [b"timeout", b"9"])

    def test_arguments_alone(self):
        port = free_port()
        process = subprocess.Popen([tarn_binary(), "--port", str(port)], stderr=subprocess.DEVNULL)
        try:
            def answers():
                try:
                    with Connection(port) as c:
                        return c.cmd("PING") == "PONG"
                except OSError:
                    return False
            until(answers, "tarn without a file")
        finally:
            process.terminate()
            self.assertEqual(process.wait(20), 0)

    def test_the_file_may_hold_comments_quotes_and_units(self):
        with Tarn(config='# comment\n\n  maxclients   60\t\r\nmaxmemory "128mb"\ntcp-keepalive \'60\'\n') as tarn:
            with tarn.connect() as c:
                self.assertEqual(c.cmd("CONFIG", "GET", "maxmemory"), [b"maxmemory", b"134217728"])
                self.assertEqual(c.cmd("CONFIG", "GET", "tcp-keepalive"), [b"tcp-keepalive", b"60"])


class ConfigCommand(TarnCase):
    def test_get_takes_patterns_and_several_names(self):
        reply = self.c.cmd("CONFIG", "GET", "max*")
        names = reply[::2]
        self.assertIn(b"maxclients", names)
        self.assertIn(b"maxmemory", names)
        reply = self.c.cmd("CONFIG", "GET", "port", "timeout", "nosuch")
        self.assertEqual(sorted(reply[::2]), [b"port", b"timeout"])
        self.assertEqual(self.c.cmd("CONFIG", "GET", "PORT"), [b"port", str(self.tarn.port).encode()])

    def test_set_is_all_or_nothing(self):
        before = self.c.cmd("CONFIG", "GET", "timeout")
        reply = self.c.cmd("CONFIG", "SET", "timeout", "100", "maxclients", "many")
        self.assertIsInstance(reply, Error)
        self.assertIn("maxclients", reply)
        self.assertEqual(self.c.cmd("CONFIG", "GET", "timeout"), before)
        self.assertEqual(self.c.cmd("CONFIG", "SET", "timeout", "100", "tcp-keepalive", "30"), "OK")
        self.assertEqual(self.c.cmd("CONFIG", "GET", "timeout"), [b"timeout", b"100"])
        self.assertEqual(self.c.cmd("CONFIG", "SET", "timeout", "0", "tcp-keepalive", "300"), "OK")

    def test_set_refuses_what_is_fixed_or_unknown(self):
        self.assertIn("nosuch", self.c.cmd("CONFIG", "SET", "nosuch", "1"))
        reply = self.c.cmd("CONFIG", "SET", "port", "1234")
        self.assertIsInstance(reply, Error)
        self.assertIn("port", reply)

    def test_every_option_reads_back_what_was_set(self):
        """Setting each option to the value it has is accepted, or refused because it is fixed at start."""
        reply = self.c.cmd("CONFIG", "GET", "*")
        for name, value in zip(reply[::2], reply[1::2]):
            answer = self.c.cmd("CONFIG", "SET", name, value)
            if isinstance(answer, Error):
                self.assertIn("immutable", answer.lower(), name)
            self.assertEqual(self.c.cmd("CONFIG", "GET", name), [name, value])

    def test_save_and_appendonly_take_the_value_that_is_true(self):
        self.assertEqual(self.c.cmd("CONFIG", "SET", "save", "", "appendonly", "no"), "OK")
        self.assertIsInstance(self.c.cmd("CONFIG", "SET", "appendonly", "yes"), Error)
        self.assertIsInstance(self.c.cmd("CONFIG", "SET", "save", "60 1000"), Error)

    def test_resetstat(self):
        self.c.cmd("SET", "k", "v")
        self.c.cmd("GET", "k")
        self.c.cmd("GET", "none")
        self.assertEqual(self.info("stats")["keyspace_hits"], "1")
        self.assertEqual(self.c.cmd("CONFIG", "RESETSTAT"), "OK")
        self.assertEqual(self.info("stats")["keyspace_hits"], "0")
        self.assertEqual(self.info("stats")["keyspace_misses"], "0")


class Rewrite(TarnCase):
    config = "# first\nmaxmemory 100mb\n# then\ntimeout 7\n"

    def file(self):
        with open(os.path.join(self.tarn.dir, "tarn.conf"), encoding="utf-8") as f:
            return f.read()

    def test_changes_are_in_the_file_and_the_rest_is_as_it_was(self):
        self.assertEqual(self.c.cmd("CONFIG", "SET", "maxmemory", "200mb", "maxclients", "77", "requirepass", "x"), "OK")
        self.assertEqual(self.c.cmd("CONFIG", "REWRITE"), "OK")
        expected = self.file()
        self.assertTrue(expected.startswith("# first\nmaxmemory 209715200\n# then\ntimeout 7\n\n# Written by "))
        self.assertIn("\nmaxclients 77\n", expected)
        self.assertIn(f"\nport {self.tarn.port}\n", expected)
        self.assertIn("\nrequirepass sha256:", expected)
        self.assertEqual(sorted(os.listdir(self.tarn.dir)), ["log", "tarn.conf"])
        self.assertEqual(self.c.cmd("CONFIG", "REWRITE"), "OK")
        self.assertEqual(self.file(), expected)
        done = run_tarn(os.path.join(self.tarn.dir, "tarn.conf"), "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_file_that_is_gone(self):
        path = os.path.join(self.tarn.dir, "tarn.conf")
        os.rename(path, path + ".away")
        try:
            self.assertEqual(self.c.cmd("CONFIG", "REWRITE"),
                             "ERR Rewriting config file: No such file or directory")
        finally:
            os.rename(path + ".away", path)


class Ending(unittest.TestCase):
    def test_sigterm_and_sigint_drain_and_exit_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number), Tarn() as tarn:
                with tarn.connect() as c:
                    self.assertEqual(c.cmd("SET", "k", "v"), "OK")
                    tarn.signal(number)
                    self.assertEqual(c.until_closed(), b"")
                self.assertEqual(tarn.wait_exit(), 0)

    def test_answered_commands_are_complete_at_sigterm(self):
        """Whatever the server answered, it answered whole: the stream ends between two replies."""
        with Tarn() as tarn, tarn.connect() as c:
            c.cmd("SET", "k", b"v" * 1000)
            c.send(encode("GET", "k") * 2000)
            c.reply()
            tarn.signal(signal.SIGTERM)
            one = b"$1000\r\n" + b"v" * 1000 + b"\r\n"
            rest = c.until_closed()
            self.assertEqual(len(rest) % len(one), 0)
            self.assertEqual(rest, one * (len(rest) // len(one)))
            self.assertEqual(tarn.wait_exit(), 0)

    def test_shutdown_command(self):
        for words in (("SHUTDOWN",), ("SHUTDOWN", "NOSAVE"), ("SHUTDOWN", "NOW", "FORCE")):
            with self.subTest(words=words), Tarn() as tarn:
                with tarn.connect() as c:
                    c.send(encode(*words))
                    self.assertEqual(c.until_closed(), b"")
                self.assertEqual(tarn.wait_exit(), 0)

    def test_the_port_is_free_again_at_once(self):
        with Tarn() as tarn:
            port = tarn.port
            with tarn.connect() as c:
                c.cmd("PING")
                tarn.signal(signal.SIGTERM)
                c.until_closed()
            tarn.wait_exit()
            with Tarn(port=port) as again, again.connect() as c:
                self.assertEqual(c.cmd("PING"), "PONG")


class Log(unittest.TestCase):
    def test_lines_carry_a_time_and_a_level(self):
        with Tarn() as tarn:
            lines = tarn.log().splitlines()
            self.assertTrue(lines)
            for line in lines:
                self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d) ")


class Documentation(unittest.TestCase):
    def test_configuration_md_is_what_gen_docs_writes(self):
        top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        with tempfile.NamedTemporaryFile("r", suffix=".md", encoding="utf-8") as made:
            subprocess.run([os.path.join(top, "script", "gen-docs"), tarn_binary(), made.name], check=True)
            with open(os.path.join(top, "docs", "configuration.md"), encoding="utf-8") as kept:
                self.assertEqual(kept.read(), made.read(), "run script/gen-docs")


if __name__ == "__main__":
    unittest.main()
