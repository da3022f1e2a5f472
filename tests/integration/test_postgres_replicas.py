"""A PostgreSQL primary with a streaming replica: who answers, how far behind, and what happens when one of them goes."""
import unittest

from case import TarnCase
from database import check_at_rest, fields
from postgres import Postgres
from resp import Error
from tarn import Tarn, until

MAPS = """
map name shop "name:{id:int}" "SELECT name FROM item WHERE id = $id" error-hold 20ms ttl 0
map own shop "own:{id:int}" "SELECT name FROM item WHERE id = $id" ttl 1h writes through on-set "UPDATE item SET name = $value WHERE id = $id"
map where shop "where:{id:int}" "SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END WHERE $id > 0" ttl 0 error-hold 20ms
"""


class Pair(TarnCase):
    """A primary, a replica and a tarn for each class; a class may break the pair once."""
    options = "read-from replica max-lag 1500ms"

    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres()
        cls.addClassCleanup(cls.primary.stop)
        cls.primary.execute("CREATE TABLE item (id int PRIMARY KEY, name text)")
        cls.primary.execute("INSERT INTO item VALUES (1, 'one')")
        cls.replica = Postgres(base=cls.primary, wal_retrieve_retry_interval="100ms")
        cls.addClassCleanup(cls.replica.stop)
        dsn = f"host=127.0.0.1,127.0.0.1 port={cls.primary.port},{cls.replica.port} dbname=postgres user=postgres"
        cls.config = (f'source shop postgres "{dsn}" replica "{cls.replica.dsn}" connect-timeout 1s load-timeout 3s '
                      f'breaker-open 50ms..200ms {cls.options}\n{MAPS}')
        super().setUpClass()

    def setUp(self):
        super().setUp()
        until(lambda: self.source()["replicas"] == b"1/1", "the replica to be fit")

    def tearDown(self):
        check_at_rest(self)

    def source(self, c=None):
        return fields((c or self.c).cmd("SOURCE", "INFO", "shop"))

    def where(self):
        reply = self.c.cmd("GET", "where:1")
        return reply if isinstance(reply, Error) else reply.decode()

    def comes_from(self, server):
        until(lambda: self.where() == server, f"loads from the {server}")
        for _ in range(5):
            self.assertEqual(self.where(), server)


class Lag(Pair):
    def test_reads_go_to_the_replica(self):
        self.comes_from("replica")
        source = self.source()
        self.assertEqual((source["primary"], source["state"]), (b"up", b"up"))
        self.assertGreaterEqual(source["lag_ms"], 0)

    def test_a_frozen_replica_is_left_when_it_lags(self):
        """Its connections work and it answers quickly; only its data stands still."""
        self.comes_from("replica")
        self.replica.execute("SELECT pg_wal_replay_pause()")
        try:
            self.primary.execute("UPDATE item SET name = 'uno' WHERE id = 1")
            until(lambda: self.source()["replicas"] == b"0/1", "the lag to be noticed", 10)
            self.comes_from("primary")
            self.assertEqual(self.c.cmd("GET", "name:1"), b"uno")
            self.assertEqual(self.source()["state"], b"up")
        finally:
            self.replica.execute("SELECT pg_wal_replay_resume()")
        self.comes_from("replica")
        until(lambda: self.c.cmd("GET", "name:1") == b"uno", "the replica to have caught up")

    def test_a_replica_that_is_cut_off_from_its_primary_is_left(self):
        """It has replayed all it received, so by its own account it is not behind."""
        conninfo, = self.replica.execute("SHOW primary_conninfo")[0]
        self.replica.execute("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
        self.replica.execute("SELECT pg_reload_conf()")
        try:
            until(lambda: self.primary.execute("SELECT count(*) FROM pg_stat_replication") == [(0,)], "the stream to end")
            self.primary.execute("UPDATE item SET name = 'cut' WHERE id = 1")
            until(lambda: self.source()["replicas"] == b"0/1", "the lag to be noticed", 10)
            self.comes_from("primary")
        finally:
            self.replica.execute("ALTER SYSTEM SET primary_conninfo = %s", conninfo)
            self.replica.execute("SELECT pg_reload_conf()")
        self.comes_from("replica")

    def test_a_killed_replica_is_no_error(self):
        self.comes_from("replica")
        self.replica.halt()
        try:
            for _ in range(20):
                self.assertEqual(self.where(), "primary")
            until(lambda: self.source()["replicas"] == b"0/1", "the replica to be given up")
        finally:
            self.replica.start()
        self.comes_from("replica")

    def test_read_from_primary_and_nearest(self):
        with Tarn(config=self.config.replace("read-from replica", "read-from primary")) as tarn, tarn.connect() as c:
            until(lambda: self.source(c)["replicas"] == b"1/1", "the replica to be known")
            self.assertEqual(c.cmd("GET", "where:1"), b"primary")
        with Tarn(config=self.config.replace("read-from replica", "read-from nearest")) as tarn, tarn.connect() as c:
            self.assertIn(c.cmd("GET", "where:1"), (b"primary", b"replica"))

    def test_a_write_that_was_followed_by_del_is_read(self):
        """Whatever the replica has: after DEL the key comes from the primary, until the replica must have it."""
        self.replica.execute("SELECT pg_wal_replay_pause()")
        try:
            for i in range(3):
                self.primary.execute(f"UPDATE item SET name = 'written {i}' WHERE id = 1")
                self.c.cmd("DEL", "name:1")
                self.assertEqual(self.c.cmd("GET", "name:1"), b"written %d" % i)
                self.assertEqual(self.connect().cmd("GET", "name:1"), b"written %d" % i)
        finally:
            self.replica.execute("SELECT pg_wal_replay_resume()")


    def test_writes_go_to_the_primary_and_are_read_from_there(self):
        self.replica.execute("SELECT pg_wal_replay_pause()")
        try:
            for i in range(3):
                self.assertEqual(self.c.cmd("SET", "own:1", f"own {i}"), "OK")
                self.assertEqual(self.c.cmd("GET", "own:1"), b"own %d" % i)
        finally:
            self.replica.execute("SELECT pg_wal_replay_resume()")


class Failover(Pair):
    options = "read-from primary max-lag 1500ms invalidate notify cache_inval"

    def test_the_primary_dies_and_the_replica_is_promoted(self):
        self.comes_from("primary")
        until(lambda: self.source()["feed"] == b"up", "the feed to be up")
        self.primary.halt()
        self.comes_from("replica")
        until(lambda: self.source()["state"] == b"degraded", "the state to be degraded")
        self.assertEqual(self.source()["feed"], b"down")
        self.assertEqual(self.c.cmd("GET", "name:1"), b"one")
        self.replica.promote()
        self.comes_from("primary")
        until(lambda: self.source()["state"] == b"up", "the new primary to be found")
        until(lambda: self.source()["feed"] == b"up", "the feed to follow")
        self.replica.execute("UPDATE item SET name = 'after' WHERE id = 1")
        self.assertEqual(self.c.cmd("GET", "name:1"), b"after")


class FrozenPrimary(Pair):
    options = "read-from primary max-lag 1500ms load-timeout 600ms"

    def test_a_primary_that_hangs(self):
        """SIGSTOP: connections stay open, the kernel accepts new ones, nobody answers."""
        self.comes_from("primary")
        thaw = self.primary.freeze()
        try:
            self.comes_from("replica")
            self.assertEqual(self.source()["state"], b"degraded")
        finally:
            thaw()
        self.comes_from("primary")


if __name__ == "__main__":
    unittest.main()
