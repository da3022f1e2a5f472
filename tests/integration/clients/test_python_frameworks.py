"""What Python frameworks keep in a Redis server, as Debian ships them: Django, Flask-Caching, dogpile.cache."""
import importlib
import unittest

import redis

from case import TarnCase
from tarn import until

try:
    import django
    from django.conf import settings
except ImportError:
    django = None
else:
    settings.configure(
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "", "KEY_PREFIX": "site"}},
        SESSION_ENGINE="django.contrib.sessions.backends.cache", SESSION_CACHE_ALIAS="default",
        DJANGO_REDIS_SCAN_ITERSIZE=10, SECRET_KEY="secret", USE_TZ=True)


class FrameworkCase(TarnCase):
    modules = ()

    def setUp(self):
        super().setUp()
        for name in self.modules:
            try:
                importlib.import_module(name)
            except ImportError:
                self.skipTest(f"the Python package {name} is not installed")


class Django(FrameworkCase):
    modules = ("django", "django_redis")

    def setUp(self):
        super().setUp()
        settings.CACHES["default"]["LOCATION"] = f"redis://127.0.0.1:{self.tarn.port}/1"
        from django.core.cache import caches
        self.cache = caches.create_connection("default")

    def test_cache(self):
        cache = self.cache
        cache.set("k", {"list": [1, 2.5, None]}, timeout=100)
        self.assertEqual(cache.get("k"), {"list": [1, 2.5, None]})
        self.assertEqual(cache.get("none", "default"), "default")
        self.assertFalse(cache.add("k", 1))
        self.assertTrue(cache.add("other", 1))
        self.assertTrue(cache.has_key("other"))
        self.assertIn(cache.ttl("k"), (99, 100))
        self.assertTrue(cache.touch("k", 200))
        self.assertIn(cache.ttl("k"), (199, 200))
        self.assertEqual(cache.get_or_set("computed", lambda: 42), 42)
        self.assertEqual(cache.incr("computed"), 43)  # by a script, or where there are none by GET and SET
        self.assertTrue(cache.delete("k"))
        cache.set("short", "lived", timeout=0.02)
        until(lambda: cache.get("short") is None, "an expiry")

    def test_many_keys(self):
        cache = self.cache
        cache.set_many({f"k{i}": i for i in range(100)})
        self.assertEqual(cache.get_many(["k1", "none", "k99"]), {"k1": 1, "k99": 99})
        self.assertEqual(len(cache.keys("k*")), 100)
        self.assertEqual(len(list(cache.iter_keys("k*"))), 100)
        self.assertEqual(cache.delete_pattern("k1*"), 11)
        self.assertEqual(cache.delete_many(["k2", "k3"]), 2)
        cache.clear()
        self.assertIsNone(cache.get("k4"))

    def test_sessions(self):
        from django.contrib.sessions.backends.cache import SessionStore
        first = SessionStore()
        first["user"] = "ada"
        first.set_expiry(100)
        first.save()
        again = SessionStore(session_key=first.session_key)
        self.assertEqual(again["user"], "ada")
        self.assertTrue(again.exists(first.session_key))
        old = first.session_key
        again.cycle_key()
        self.assertFalse(again.exists(old))
        again.flush()
        self.assertNotIn("user", SessionStore(session_key=old))

    def test_locks(self):
        lock = self.cache.lock("job", timeout=10)
        self.assertTrue(lock.acquire(blocking=False))
        self.assertFalse(self.cache.lock("job", timeout=10).acquire(blocking=False))
        try:
            lock.release()
        except redis.ResponseError as error:
            if "unknown command 'EVALSHA'" in str(error):
                self.skipTest("releasing a lock of redis-py needs EVALSHA, which Tarn does not have")
            raise


class FlaskCaching(FrameworkCase):
    modules = ("flask", "flask_caching", "cachelib")

    def test_cached_views_and_functions(self):
        import flask
        import flask_caching
        app = flask.Flask("site")
        cache = flask_caching.Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": self.tarn.port,
                                                 "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_DEFAULT_TIMEOUT": 100})
        calls = []

        @app.route("/")
        @cache.cached()
        def index():
            calls.append("index")
            return str(len(calls))

        @cache.memoize()
        def double(n):
            calls.append(n)
            return 2 * n

        with app.test_client() as browser:
            self.assertEqual([browser.get("/").data for _ in range(3)], [b"1"] * 3)
        with app.app_context():
            self.assertEqual([double(21), double(21), double(4)], [42, 42, 8])
            self.assertEqual(calls, ["index", 21, 4])
            cache.delete_memoized(double)
            self.assertEqual(double(21), 42)
            cache.set_many({"a": 1, "b": 2})
            self.assertEqual(cache.get_many("a", "none", "b"), [1, None, 2])
            self.assertFalse(cache.add("a", 3))
            cache.clear()
            self.assertIsNone(cache.get("a"))


class Dogpile(FrameworkCase):
    modules = ("dogpile.cache",)

    def test_regions(self):
        from dogpile.cache import make_region
        region = make_region().configure("dogpile.cache.redis", expiration_time=100, arguments={
            "host": "127.0.0.1", "port": self.tarn.port, "redis_expiration_time": 200})
        computed = []
        for _ in range(3):
            self.assertEqual(region.get_or_create("k", lambda: computed.append(1) or "value"), "value")
        self.assertEqual(len(computed), 1)
        region.set_multi({"a": 1, "b": 2})
        self.assertEqual(region.get_multi(["a", "b"]), [1, 2])
        region.delete("k")
        self.assertFalse(region.get("k"))


del FrameworkCase  # it has no framework

if __name__ == "__main__":
    unittest.main()
