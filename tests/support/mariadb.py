"""A private MariaDB for tests: in a temporary folder, on a random port of 127.0.0.1 and a socket in its folder.

Its superuser is `tarn_admin` without a password; other users are made by the test.
"""
import os
import shutil
import signal
import subprocess

import pymysql

from daemon import Daemon
from tarn import free_port


def tool(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        raise AssertionError(f"{name} is not installed (script/setup test)")
    return path


class MariaDB(Daemon):
    name = "mariadb"
    user = "mysql"
    end_signal = signal.SIGKILL  # an orderly end takes seconds, and nobody misses this database after the test
    quick = ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=2",
             "--innodb-doublewrite=0", "--skip-log-bin", "--key-buffer-size=1M", "--max-connections=60",
             "--performance-schema=OFF", "--character-set-server=utf8mb4")

    def __init__(self):
        super().__init__()
        try:
            self.port = free_port()
            self.data = os.path.join(self.dir, "data")
            self.socket = os.path.join(self.dir, "socket")
            self.run(tool("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
                     "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M", self.tmpdir)
            self.start()
            self.execute("CREATE DATABASE shop")
            self.execute("CREATE USER tarn_admin@'127.0.0.1'")
            self.execute("GRANT ALL ON *.* TO tarn_admin@'127.0.0.1' WITH GRANT OPTION")
        except BaseException:
            self.stop()
            raise

    @property
    def tmpdir(self):
        """Every MariaDB that starts removes the temporary tables that others have in a folder they share."""
        return f"--tmpdir={self.dir}"

    @property
    def dsn(self):
        return self.dsn_for("tarn_admin")

    def dsn_for(self, user, host="127.0.0.1", port=None):
        return f"host={host} port={port or self.port} dbname=shop user={user}"

    def start(self):
        self.launch(tool("mariadbd"), "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                    f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve", self.tmpdir, *self.quick)

    def is_serving(self):
        try:
            self.connect(database=None).close()
            return True
        except pymysql.err.OperationalError:
            return False

    def connect(self, database="shop"):
        return pymysql.connect(unix_socket=self.socket, user="root", database=database, autocommit=True,
                               charset="utf8mb4", connect_timeout=20)

    def execute(self, sql, *values):
        """Runs one statement on a connection of its own; returns its rows, if it has any."""
        db = self.connect(database=None)
        try:
            with db.cursor() as cursor:
                cursor.execute("USE shop") if not sql.startswith("CREATE DATABASE") else None
                cursor.execute(sql, values or None)
                return cursor.fetchall()
        finally:
            db.close()

    def paste(self, text):
        """Statements as a person would give them to the client program."""
        done = subprocess.run([tool("mariadb"), "--no-defaults", "--socket", self.socket, "--user", "root", "shop"],
                              input=text, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def terminate(self, condition="user NOT IN ('root', 'system user')"):
        """Ends sessions as an administrator would; returns which."""
        rows = self.execute(f"SELECT id FROM information_schema.processlist WHERE {condition}")
        return {pid for pid, in rows if self.kill_session(pid)}

    def kill_session(self, pid):
        try:
            self.execute(f"KILL CONNECTION {pid}")
            return True
        except pymysql.err.OperationalError:
            return False  # it has ended by itself

    def freeze(self):
        """The server stops answering, its connections stay open; returns what thaws it."""
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)
        return lambda: os.kill(pid, signal.SIGCONT)
