"""The random stream of differential.py against redis-server, and the promise that its table is documented."""
import os
import re
import unittest

import differential
from stream import covered_commands
from tarn import Redis, Tarn

COMMANDS = int(os.environ.get("TARN_DIFFERENTIAL_COMMANDS", "20000"))
SEEDS = ((1, 2), (2, 3))  # each with the version of RESP it begins with
DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "compatibility.md")


class Differential(unittest.TestCase):
    def test_replies_equal_those_of_redis(self):
        for seed, resp in SEEDS:
            problem = differential.differential(Redis, differential.start_subject, COMMANDS // len(SEEDS), seed, resp)
            self.assertIsNone(problem, problem)

    def test_the_stream_is_fair(self):
        """Two servers of the same kind do not differ: a difference is never the generator's doing."""
        problem = differential.differential(Redis, Redis, 2000, 3)
        self.assertIsNone(problem, problem)

    def test_the_stream_covers_every_shared_command(self):
        with Redis() as redis, Tarn() as tarn, redis.connect() as r, tarn.connect() as c:
            shared = {name.decode() for name in set(c.cmd("COMMAND", "LIST")) & set(r.cmd("COMMAND", "LIST"))}
        containers = {name.partition("|")[0] for name in shared if "|" in name}
        missing = {name for name in shared - covered_commands() - containers if not name.endswith("|help")}
        self.assertEqual(missing, set())

    def test_intended_differences_are_documented(self):
        with open(DOC, encoding="utf-8") as f:
            table = f.read().partition("\n| topic |")[2].partition("\n\n")[0]
        rows = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
                for line in table.split("\n") if line.startswith("| ")]
        self.assertEqual(rows, [(d.topic, d.redis, d.tarn) for d in differential.DIFFERENCES])


if __name__ == "__main__":
    unittest.main()
