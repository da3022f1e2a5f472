"""The lists of commands in docs/compatibility.md against those of Tarn and of redis-server."""
import os
import unittest

from tarn import Redis, Tarn

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "compatibility.md")
STATES = ("same", "differs", "absent", "beyond")


def documented():
    """(name as COMMAND LIST shows it, state, what is said of it) for each name in each row under "## Commands"."""
    with open(DOC, encoding="utf-8") as f:
        text = f.read().partition("\n## Commands\n")[2]
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3 and cells[0] not in ("state", "---"):
            for name in cells[1].split(","):
                yield name.strip().lower().replace(" ", "|"), cells[0], cells[2]


def commands_of(server):
    with server.connect() as c:
        return {name.decode() for name in c.cmd("COMMAND", "LIST")}


class Compatibility(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Redis() as redis, Tarn() as tarn:
            cls.redis, cls.tarn = commands_of(redis), commands_of(tarn)
        cls.rows = list(documented())
        cls.state = {name: state for name, state, _ in cls.rows}

    def names(self, *states):
        return {name for name, state in self.state.items() if state in states}

    def test_every_name_is_there_once(self):
        names = [name for name, _, _ in self.rows]
        self.assertEqual(sorted(set(names)), sorted(names))
        self.assertEqual(self.redis | self.tarn, set(names))

    def test_states_are_true(self):
        self.assertEqual(self.names("same", "differs"), self.redis & self.tarn)
        self.assertEqual(self.names("absent"), self.redis - self.tarn)
        self.assertEqual(self.names("beyond"), self.tarn - self.redis)
        self.assertEqual(set(self.state.values()), set(STATES))

    def test_every_difference_is_explained(self):
        self.assertEqual([name for name, state, said in self.rows if state != "same" and not said], [])


if __name__ == "__main__":
    unittest.main()
