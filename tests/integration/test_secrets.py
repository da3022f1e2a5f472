"""Rule 55: the passwords of databases, and the server's own, are in no reply, log, MONITOR line, slow log or command line.

Each password here carries a mark. A server that uses it, rightly or wrongly, is asked everything it can tell; the mark may
be in nothing of it. (A core dump is another matter: client libraries keep the password of an open connection.)
"""
import os
import unittest

from mariadb import MariaDB
from postgres import Postgres
from resp import Error, encode
from tarn import Redis, Tarn, run_tarn, until

MARK = "mArK7f3a"
RIGHT, WRONG = MARK + "right", MARK + "wrong"
MAP = 'map row shop "row:{id:int}" "%s" error-hold 0 load-timeout 2s'

QUESTIONS = [
    "SOURCE LIST", "SOURCE INFO shop", "SOURCE INFO row", "SOURCE MAPS", "SOURCE EXPLAIN row:1", "SOURCE TEST row row:1",
    "SOURCE PING shop", "SOURCE DDL row", "SOURCE HOT", "SOURCE SLOWLOG", "SOURCE WARM STATUS", "SOURCE PAUSE shop",
    "SOURCE RESUME shop", "SOURCE SET shop dsn x", "SOURCE SET shop password x", "SOURCE SET shop pool 3", "GET row:1",
    "GET row:2", "MGET row:3 row:4",
    "CONFIG GET *", "CONFIG GET *pass*", "INFO everything", "CLIENT LIST", "CLIENT INFO", "SLOWLOG GET -1", "LATENCY DOCTOR",
    "LATENCY HISTOGRAM", "MEMORY DOCTOR", "MEMORY STATS", "ACL LIST", "ACL GETUSER default", "ACL LOG", "HOTKEYS GET",
]


class Secrets(unittest.TestCase):
    def assert_silent(self, text, where):
        text = text if isinstance(text, str) else repr(text)
        at = text.find(MARK)
        self.assertEqual(at, -1, f"{where}: {text[max(0, at - 200):at + 200]}")

    def read_process(self, tarn, name):
        with open(f"/proc/{tarn.pid}/{name}", "rb") as f:
            return f.read()

    def ask_everything(self, tarn, answer):
        """`answer`: what GET row:1 is, or None when the login fails."""
        with tarn.connect() as monitor, tarn.connect() as c:
            c.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0")
            self.assertEqual(monitor.cmd("MONITOR"), "OK")
            if answer is None:
                until(lambda: isinstance(c.cmd("GET", "row:1"), Error), "the login to fail")
            else:
                until(lambda: c.cmd("GET", "row:1") == answer, "a row")
            for question in QUESTIONS:
                self.assert_silent(c.cmd(*question.split()), question)
            c.cmd("HELLO", "3")
            for question in QUESTIONS:
                self.assert_silent(c.cmd(*question.split()), question)
            c.cmd("AUTH", MARK)
            c.cmd("AUTH", "default", MARK)
            c.cmd("HELLO", "3", "AUTH", "default", MARK)
            self.assertEqual(c.cmd("CONFIG", "SET", "requirepass", MARK), "OK")
            self.assertEqual(c.cmd("CONFIG", "SET", "loglevel", "debug", "requirepass", ""), "OK")
            self.assert_silent(c.cmd("SLOWLOG", "GET", "-1"), "SLOWLOG")
            c.cmd("ECHO", "the end")
            line = ""
            while "the end" not in line:
                line = monitor.reply()
                self.assert_silent(line, "MONITOR")
        self.assert_silent(tarn.log(), "log")
        for name in ("cmdline", "environ"):
            self.assert_silent(self.read_process(tarn, name), name)

    def serve(self, driver, dsn, query, answer, options="", **files):
        with Tarn("--enable-source-command", "yes", config="") as place:  # only for its folder
            for name, content in files.items():
                path = os.path.join(place.dir, name)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(content + "\n")
                options += f" {name}-file {path}"
            config = f'loglevel debug\nsource shop {driver} "{dsn}" {options}\n{MAP % query}\n'
            with Tarn("--enable-source-command", "yes", config=config) as tarn:
                self.ask_everything(tarn, answer)
            log = tarn.log() if os.path.exists(tarn.log_path) else ""
            self.assert_silent(log, "log")

    def refuses(self, driver, dsn, query):
        """A mistake beside the password: what is said of it at the start."""
        with Tarn(config="") as place:
            path = os.path.join(place.dir, "wrong.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(f'source shop {driver} "{dsn}"\n{MAP % query}\n')
            done = run_tarn(path, "--port", "0", timeout=20)
        self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
        self.assert_silent(done.stdout + done.stderr, "the refusal")

    def test_postgres(self):
        db = Postgres()
        self.addCleanup(db.stop)
        db.execute(f"CREATE ROLE reader LOGIN PASSWORD '{RIGHT}'")
        dsn, query = db.dsn_for("reader"), "SELECT 'v' || $id::text"
        self.serve("postgres", f"{dsn} password={RIGHT}", query, b"v1")
        self.serve("postgres", f"{dsn} password={WRONG}", query, None)
        self.serve("postgres", dsn, query, b"v1", password=RIGHT)
        self.serve("postgres", dsn.replace("user=reader", ""), query, b"v1", password=RIGHT, user="reader")
        self.serve("postgres", dsn, query, None, password=WRONG)
        self.refuses("postgres", f"{dsn} password={RIGHT} nosuch=1", query)
        self.refuses("postgres", f"{dsn} password='{RIGHT}", query)
        self.refuses("postgres", f"{dsn} password={RIGHT}", "SELECT nosuch")

    def test_mariadb(self):
        db = MariaDB()
        self.addCleanup(db.stop)
        db.execute(f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{RIGHT}'")
        db.execute("GRANT SELECT ON shop.* TO reader@'127.0.0.1'")
        dsn, query = db.dsn_for("reader"), "SELECT concat('v', $id)"
        self.serve("mysql", f"{dsn} password={RIGHT}", query, b"v1")
        self.serve("mysql", f"{dsn} password={WRONG}", query, None)
        self.serve("mysql", dsn, query, b"v1", password=RIGHT)
        self.serve("mysql", dsn, query, None, password=WRONG)
        self.refuses("mysql", f"{dsn} password={RIGHT} nosuch=1", query)
        self.refuses("mysql", f"{dsn} password={RIGHT}", "SELECT nosuch")

    def test_a_file_with_a_password_that_everybody_may_read(self):
        config = f'source shop redis redis://:{MARK}@127.0.0.1:1 \n{MAP % "GET row:$id"}\n'
        for mode, is_told in ((0o644, True), (0o640, False)):
            before = os.umask(0o777 & ~mode)
            try:
                tarn = Tarn(config=config)
            finally:
                os.umask(before)
            with tarn:
                self.assertEqual("everybody may read it" in tarn.log(), is_told)

    def test_redis(self):
        db = Redis("--requirepass", RIGHT)
        self.addCleanup(db.kill)
        with db.connect() as o:
            self.assertEqual(o.cmd("AUTH", RIGHT), "OK")
            self.assertEqual(o.cmd("SET", "row:1", "v1"), "OK")
            o.cmd("ACL", "SETUSER", "reader", "on", ">" + RIGHT, "~*", "+@all")
        at = f"127.0.0.1:{db.port}"
        for login in (":", "reader:"):
            self.serve("redis", f"redis://{login}{RIGHT}@{at}", "GET row:$id", b"v1")
            self.serve("redis", f"redis://{login}{WRONG}@{at}", "GET row:$id", None)
        self.refuses("redis", f"redis://:{RIGHT}@{at}/nosuch", "GET row:$id")
        self.refuses("redis", f"redis://:{RIGHT}%zz@{at}", "GET row:$id")
        self.refuses("redis", f"redis://{RIGHT}@{at}", "GET row:$id")
        self.refuses("redis", f"redis://:{RIGHT}@{at}", "KEYS *")


if __name__ == "__main__":
    unittest.main()
