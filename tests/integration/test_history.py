"""Rules 8, 9, 12, 16 and 17 on recorded histories: some seconds of them; history.py makes longer ones."""
import unittest

from history import LOAD_TIMEOUT_MS, STALE_MS, TTL_MS, Commit, OnMariaDB, OnPostgres, OnSqlite, Op, Sync, check, record

OPERATIONS = 12000


class Histories(unittest.TestCase):
    def check_on(self, origin):
        database = origin()
        self.addCleanup(database.stop)
        ops, commits, syncs = record(database, OPERATIONS, seed=7)
        self.assertGreaterEqual(len(ops), OPERATIONS)
        self.assertGreater(len(commits), 20, "the writer wrote")
        self.assertEqual(check(ops, commits, syncs)[0][:10], [])

    def test_postgres(self):
        self.check_on(OnPostgres)

    def test_mariadb(self):
        self.check_on(OnMariaDB)

    def test_sqlite(self):
        self.check_on(OnSqlite)


class Checker(unittest.TestCase):
    """It finds what it is there to find. Commit n of row 1 is between the seconds n and n + 0.1."""
    commits = [Commit(1, n, n, n + 0.1) for n in range(1, 6)]

    def problems(self, *ops, syncs=()):
        return check(list(ops), self.commits, list(syncs))[0]

    def test_a_good_history(self):
        self.assertEqual(self.problems(Op("fed:1", 0.5, 0.6, 0), Op("fed:1", 1.05, 1.06, 1), Op("fed:1", 2.2, 2.3, 1),
                                       Op("fed:1", 2.4, 2.5, None), Op("fed:1", 2.6, 2.7, 2)), [])

    def test_what_is_read_after_a_del(self):
        """Whoever asks after a DEL sees what was committed before it; whoever asked before may not."""
        forget = Op("fed:1", 2.5, 2.6, None)
        self.assertEqual(self.problems(forget, Op("fed:1", 2.55, 2.7, 1)), [])
        self.assertRegex(self.problems(forget, Op("fed:1", 2.61, 2.7, 1))[0], "after a DEL")

    def test_what_is_read_after_somebody_else_read(self):
        self.assertRegex(self.problems(Op("aged:1", 2.5, 2.6, 2), Op("aged:1", 2.7, 2.8, 1))[0], "after a reply")
        self.assertEqual(self.problems(Op("fed:1", 2.5, 2.6, 2), Op("fed:1", 2.7, 2.8, 1)), [], "it may have been voided")

    def test_what_is_read_after_a_notice(self):
        notice = Sync(3, 3.5)
        self.assertEqual(self.problems(Op("fed:1", 3.4, 3.6, 1), syncs=[notice]), [])
        self.assertRegex(self.problems(Op("slow:1", 3.6, 3.7, 2), syncs=[notice])[0], "after a notice")
        self.assertEqual(self.problems(Op("aged:1", 3.6, 3.7, 2), syncs=[notice]), [], "nobody tells of these")

    def test_what_is_too_old(self):
        limit = (TTL_MS + STALE_MS + LOAD_TIMEOUT_MS) / 1000
        self.assertEqual(self.problems(Op("aged:1", 2.5, 2.0 + limit, 1)), [])
        self.assertRegex(self.problems(Op("aged:1", 2.5, 2.2 + limit, 1))[0], "rule 12")

    def test_what_was_not_written_yet(self):
        self.assertRegex(self.problems(Op("fed:1", 2.5, 2.6, 3))[0], "before it was written")


if __name__ == "__main__":
    unittest.main()
