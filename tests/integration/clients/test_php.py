"""PHP as Debian ships it: phpredis with its session handler, Predis, and Symfony's cache."""
import os
import shutil
import unittest

from client import HERE, ProgramCase


class PhpCase(ProgramCase):
    @classmethod
    def unavailable(cls):
        return None if shutil.which("php") else "php is not installed"


class PhpRedis(PhpCase):
    command = ("php", os.path.join(HERE, "php", "phpredis.php"))
    cases = """strings keys hashes serializer transactions pipelines errors pubsub server_commands reconnects sessions"""


class PhpFrameworks(PhpCase):
    command = ("php", os.path.join(HERE, "php", "frameworks.php"))
    cases = "predis_strings predis_transactions predis_scan symfony_cache symfony_tags"


del PhpCase, ProgramCase  # they have no program of their own

if __name__ == "__main__":
    unittest.main()
