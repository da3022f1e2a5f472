"""A redis-server as a database of the driver suite: each row of `item` is a hash."""
import os
import signal

import redis

from origins import ITEMS, Origin
from tarn import Redis


class RedisOrigin(Origin):
    name = driver = "redis"
    families = ("Failures", "NetworkFailures", "Absence", "Accounts")  # no SQL; its shapes are in test_source_redis.py
    # No command of the driver takes as long as one likes.
    without = ("test_a_slow_query_is_ended_on_both_sides", "test_more_slow_queries_than_connections",
               "test_shutdown_with_loads_running", "test_a_wrong_query_is_told_when_the_database_is_up_at_last", "test_a_connection_that_breaks_under_a_load_is_replaced_once",
               "test_the_second_break_is_an_error_at_once")
    query = {"name": "HGET item:$id name", "qty": "HGET item:$id qty", "price": "HGET item:$id price",
             "stale": "HGET item:$id name", "old": "HGET item:$id name", "gone": "HGET item:$id extra",
             "filled": "HGET item:$id name", "wanted": "HGET item:$id name", "fields": "HMGET item:$id name picture",
             "object": "HMGET item:$id name picture"}
    tells_null = False  # a field that is missing, of a hash that may be

    def __init__(self):
        self.users = {}
        self.server = Redis()
        self.restore()

    @property
    def address(self):
        return ("127.0.0.1", self.server.port)

    @property
    def dsn(self):
        return self.dsn_through(self.server.port)

    def dsn_through(self, port):
        return f"redis://127.0.0.1:{port}/1"

    def connect(self):
        return redis.Redis(port=self.server.port, db=1, socket_timeout=20)

    def execute(self, sql):
        """Only to find out whether it is up."""
        with self.connect() as db:
            db.ping()

    def restore(self):
        with self.connect() as db:
            db.flushdb()
            for row in ITEMS:
                fields = {**dict(zip(("id", "name", "qty", "price"), row)), "extra": "extra"}
                db.hset(f"item:{row[0]}", mapping={name: value for name, value in fields.items() if value is not None})

    def break_statements(self):
        with self.connect() as db:
            for row in ITEMS:
                db.set(f"item:{row[0]}", "of another type")

    def add_user(self, user, password):
        self.users[user] = password
        with self.connect() as db:
            db.acl_setuser(user, enabled=True, reset=True, passwords=["+" + password], keys=["item:*"],
                           commands=["+@read", "+ping", "+select"])

    def grant(self, user):
        """Nothing of it went with the rows."""

    def drop_user(self, user):
        del self.users[user]
        with self.connect() as db:
            db.acl_deluser(user)

    def dsn_for(self, user, port=None):
        return f"redis://{user}:in-the-file@127.0.0.1:{port or self.server.port}/1"

    def halt(self):
        self.server.stop()

    def start(self):
        self.server = Redis(port=self.server.port)
        self.restore()
        for user, password in self.users.items():
            self.add_user(user, password)

    def stop(self):
        self.server.stop()

    def freeze(self):
        self.server.signal(signal.SIGSTOP)
        return lambda: os.kill(self.server.pid, signal.SIGCONT)

    def kill_sessions(self):
        with self.connect() as db:
            return db.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def hold_table(self):
        return self.freeze()  # a paused Redis would not take CLIENT UNPAUSE either
