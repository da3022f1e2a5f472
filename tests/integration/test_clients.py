"""Client libraries as Debian ships them: redis-py and hiredis."""
import os
import subprocess
import unittest

import redis

from case import TarnCase


class RedisPy(TarnCase):
    def setUp(self):
        super().setUp()
        self.client = redis.Redis(port=self.tarn.port, socket_timeout=20)
        self.addCleanup(self.client.close)

    def test_strings(self):
        r = self.client
        self.assertTrue(r.set("k", "v", ex=100))
        self.assertEqual(r.get("k"), b"v")
        self.assertIsNone(r.set("k", "w", nx=True))
        self.assertEqual(r.set("k", "w", get=True), b"v")
        self.assertEqual(r.getdel("k"), b"w")
        self.assertEqual(r.append("k", "abc"), 3)
        self.assertEqual(r.getrange("k", 1, -1), b"bc")
        self.assertEqual(r.setrange("k", 1, "XY"), 3)
        self.assertEqual(r.strlen("k"), 3)
        self.assertTrue(r.mset({"a": 1, "b": 2}))
        self.assertEqual(r.mget("a", "none", "b"), [b"1", None, b"2"])
        self.assertEqual(r.incr("a", 41), 42)
        self.assertEqual(r.incrbyfloat("a", 0.5), 42.5)

    def test_keys(self):
        r = self.client
        r.mset({f"k{i}": i for i in range(50)})
        self.assertEqual(len(list(r.scan_iter("k*", count=7))), 50)
        self.assertEqual(r.dbsize(), 50)
        self.assertTrue(r.expire("k1", 100))
        self.assertIn(r.ttl("k1"), (99, 100))
        self.assertTrue(r.persist("k1"))
        self.assertEqual(r.ttl("k1"), -1)
        self.assertTrue(r.rename("k1", "l1"))
        self.assertTrue(r.copy("l1", "m1"))
        self.assertEqual(r.exists("k1", "l1", "m1"), 2)
        self.assertEqual(r.delete("l1", "m1", "none"), 2)
        self.assertEqual(r.type("k2"), b"string")
        self.assertTrue(r.flushdb())

    def test_pipeline(self):
        with self.client.pipeline(transaction=False) as p:
            for i in range(500):
                p.set(f"p{i}", i).get(f"p{i}")
            replies = p.execute()
        self.assertEqual(replies[1::2], [str(i).encode() for i in range(500)])

    def test_server_commands(self):
        r = self.client
        self.assertTrue(r.ping())
        self.assertIn("redis_version", r.info())
        self.assertIn("db0" if r.dbsize() else "redis_version", r.info())
        self.assertTrue(r.client_setname("me"))
        self.assertEqual(r.client_getname(), "me")
        self.assertTrue(any(c["name"] == "me" for c in r.client_list()))
        self.assertEqual(r.config_get("maxclients"), {"maxclients": "10000"})
        self.assertGreater(r.command_count(), 60)
        self.assertIn("get", r.command())
        self.assertEqual(len(r.time()), 2)

    def test_errors_are_response_errors(self):
        self.client.set("k", "text")
        with self.assertRaises(redis.ResponseError):
            self.client.incr("k")
        with self.assertRaises(redis.ResponseError):
            self.client.execute_command("NOSUCH")

    def test_another_database(self):
        with redis.Redis(port=self.tarn.port, db=5) as other:
            other.set("k", "five")
            self.assertIsNone(self.client.get("k"))
            self.assertEqual(other.get("k"), b"five")


class Hiredis(TarnCase):
    def test_a_program_using_hiredis(self):
        done = subprocess.run([os.environ["HIREDIS_CLIENT"], str(self.tarn.port)], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
