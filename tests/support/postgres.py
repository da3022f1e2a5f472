"""A private PostgreSQL for tests: in a temporary folder, on a random port of 127.0.0.1 and a socket in its folder.

Its superuser is `postgres`, who needs no password; everybody else needs one over TCP (SCRAM).
"""
import glob
import os
import shutil
import signal
import subprocess

import psycopg2

from daemon import Daemon, write_file
from tarn import free_port

HBA = """
local all postgres trust
local all all trust
host replication postgres 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
# Quick rather than safe: nobody misses this database after the test.
SETTINGS = {
    "fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "60",
    "autovacuum": "off", "wal_level": "replica", "max_wal_senders": "4", "log_min_messages": "warning",
    "password_encryption": "scram-sha-256", "max_wal_size": "200MB", "wal_keep_size": "32MB",
}


def tool(name):
    """The path of a server program, which Debian keeps out of PATH."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    path = shutil.which(name, path=os.pathsep.join(folders + [os.environ["PATH"]]))
    if path is None:
        raise AssertionError(f"{name} is not installed (script/setup test)")
    return path


class Postgres(Daemon):
    """self.dsn is a libpq connection string for the superuser over TCP; execute() and connect() are for the test."""
    name = "postgres"
    user = "postgres"
    end_signal = signal.SIGQUIT

    def __init__(self, *, base=None, **settings):
        """`base`: another Postgres whose streaming replica this becomes."""
        super().__init__()
        try:
            self.port = free_port()
            self.data = os.path.join(self.dir, "data")
            self.settings = {**SETTINGS, **settings}
            if base is None:
                self.run(tool("initdb"), "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
                         "--locale=C.UTF-8")
                write_file(self.data, "pg_hba.conf", HBA)
            else:
                self.run(tool("pg_basebackup"), "-D", self.data, "-R", "--no-sync", "--checkpoint=fast",
                         "-d", f"{base.dsn} application_name=replica")
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def dsn(self):
        return self.dsn_for("postgres")

    def dsn_for(self, user, host="127.0.0.1", port=None):
        return f"host={host} port={port or self.port} dbname=postgres user={user}"

    def start(self):
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        self.launch(tool("postgres"), "-D", self.data, "-p", str(self.port), "-clisten_addresses=127.0.0.1",
                    f"-cunix_socket_directories={self.dir}", *options)

    def is_serving(self):
        try:
            self.connect().close()
            return True
        except psycopg2.OperationalError:
            return False

    def connect(self, dsn=None):
        """A connection in autocommit mode."""
        db = psycopg2.connect(dsn or self.dsn, connect_timeout=20)
        db.autocommit = True
        return db

    def execute(self, sql, *values):
        """Runs one statement on a connection of its own; returns its rows, if it has any."""
        db = self.connect()
        try:
            with db.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else None
        finally:
            db.close()

    def sessions(self, condition="true"):
        """pids of the sessions of other programs."""
        return [pid for pid, in self.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                                             f"AND pid <> pg_backend_pid() AND {condition}")]

    def terminate(self, condition="application_name = 'tarn'"):
        """Ends sessions as an administrator would; returns which."""
        return {pid for pid in self.sessions(condition) if self.execute("SELECT pg_terminate_backend(%s)", pid)[0][0]}

    def pids(self):
        """The postmaster and its children."""
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True,
                             check=False).stdout
        return [self.process.pid] + [int(pid) for pid in out.split()]

    def freeze(self):
        """The whole server stops answering, its connections stay open; returns what thaws it."""
        frozen = self.pids()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

        def thaw():
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        return thaw

    def promote(self):
        self.run(tool("pg_ctl"), "promote", "-D", self.data, "-w")
