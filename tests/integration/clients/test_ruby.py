"""Ruby as Debian ships it: redis-rb, and Rails's cache store over it."""
import os
import shutil
import unittest

from client import HERE, ProgramCase


class RedisRb(ProgramCase):
    command = ("ruby", os.path.join(HERE, "ruby", "redis_rb.rb"))
    cases = """strings keys hashes transactions pipelines errors pubsub databases_and_names reconnects
        rails_cache_fetch rails_cache_many"""

    @classmethod
    def unavailable(cls):
        return None if shutil.which("ruby") else "ruby is not installed"


del ProgramCase  # it has no program of its own

if __name__ == "__main__":
    unittest.main()
