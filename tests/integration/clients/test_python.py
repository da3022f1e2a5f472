"""redis-py as Debian ships it."""
import asyncio
import unittest

import redis
import redis.asyncio as aioredis

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


    def test_transactions(self):
        with self.client.pipeline() as p:
            self.assertEqual(p.set("t", 1).incr("t").get("t").execute(), [True, 2, b"2"])
            p.watch("t")
            self.client.set("t", 10)
            p.multi()
            p.incr("t")
            with self.assertRaises(redis.WatchError):
                p.execute()
        self.assertEqual(self.client.transaction(lambda p: p.multi() or p.incr("t"), "t"), [11])

    def test_hashes(self):
        r = self.client
        self.assertEqual(r.hset("h", mapping={"name": "Ada", "born": 1815}), 2)
        self.assertEqual(r.hgetall("h"), {b"name": b"Ada", b"born": b"1815"})
        self.assertEqual(r.hmget("h", "born", "none"), [b"1815", None])
        self.assertEqual(r.hincrby("h", "born", 1), 1816)
        self.assertEqual(dict(r.hscan_iter("h")), {b"name": b"Ada", b"born": b"1816"})

    def test_pubsub(self):
        with self.client.pubsub(ignore_subscribe_messages=False) as p:
            p.subscribe("news")
            p.psubscribe("n?ws")
            self.assertEqual([p.get_message(timeout=20)["type"] for _ in range(2)], ["subscribe", "psubscribe"])
            self.assertEqual(self.client.publish("news", "hello"), 2)
            self.assertEqual([(m["type"], m["data"]) for m in (p.get_message(timeout=20) for _ in range(2))],
                             [("message", b"hello"), ("pmessage", b"hello")])
            p.unsubscribe()
            p.punsubscribe()
            self.assertEqual(p.get_message(timeout=20)["type"], "unsubscribe")
            self.assertEqual(p.get_message(timeout=20)["type"], "punsubscribe")

    def test_reconnects_when_killed(self):
        self.client.ping()
        self.c.cmd("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        retrying = redis.Redis(port=self.tarn.port, retry_on_error=[redis.ConnectionError], socket_timeout=20)
        self.addCleanup(retrying.close)
        self.assertTrue(retrying.set("k", "v"))
        retrying.execute_command("CLIENT", "KILL", "ID", retrying.client_id(), "SKIPME", "no")
        self.assertEqual(retrying.get("k"), b"v")


class RedisPyAsync(TarnCase):
    def test_commands_and_pubsub(self):
        asyncio.run(self.use())

    async def use(self):
        r = aioredis.Redis(port=self.tarn.port, socket_timeout=20)
        numbers = await asyncio.gather(*(r.incr("n") for _ in range(50)))
        self.assertEqual(sorted(numbers), list(range(1, 51)))
        async with r.pipeline(transaction=True) as p:
            self.assertEqual(await p.set("k", "v").get("k").execute(), [True, b"v"])
        async with r.pubsub() as p:
            await p.subscribe("news")
            self.assertEqual((await p.get_message(timeout=20))["type"], "subscribe")
            await r.publish("news", "hello")
            self.assertEqual((await p.get_message(timeout=20))["data"], b"hello")
        await r.close()
        await r.connection_pool.disconnect()


if __name__ == "__main__":
    unittest.main()
