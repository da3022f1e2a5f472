"""Memory: what is counted, the limit, the budget of clients, MEMORY, and how long turns take."""
import os
import random
import re
import threading
import unittest

from case import CompareCase, TarnCase
from resp import Error, encode
from tarn import Tarn, until

MIB = 1 << 20
PARTS = ("mem_log_live mem_log_dead mem_log_spare mem_large_values mem_being_freed mem_index mem_store_tables mem_commands "
         "mem_connections mem_client_buffers mem_sources").split()
OOM = "OOM command not allowed when used memory > 'maxmemory'."
SIZES = (8, 30, 100, 500, 2000, 9000, 65536)


def fields(text):
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


def info(c, section):
    return fields(c.cmd("INFO", section))


def numbers(c, section="memory"):
    """The fields of a section of INFO that are whole numbers."""
    return {name: int(value) for name, value in info(c, section).items() if re.fullmatch(r"-?\d+", value)}


def fill(c, count, size, prefix="key", ttl=None, batch=500):
    """SETs in pipelines; returns how many were refused."""
    refused = 0
    for start in range(0, count, batch):
        keys = range(start, min(start + batch, count))
        tail = ("PX", ttl) if ttl else ()
        c.send(b"".join(encode("SET", f"{prefix}:{i}", b"x" * (size(i) if callable(size) else size), *tail) for i in keys))
        refused += sum(reply != "OK" for reply in c.replies(len(keys)))
    return refused


class Load:
    """SETs and GETs of mixed sizes on a connection of its own until the end of the block."""

    def __init__(self, tarn, keys=3000, seed=1):
        self.tarn, self.keys, self.rng = tarn, keys, random.Random(seed)
        self.ending = threading.Event()
        self.rounds, self.refused, self.wrong = 0, 0, []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.ending.set()
        self.thread.join()

    def run(self):
        try:
            with self.tarn.connect() as c:
                while not self.ending.is_set():
                    self.one_round(c)
        except Exception as e:  # seen by the test, which asks for `wrong`
            self.wrong.append(repr(e))

    def one_round(self, c):
        keys = [self.rng.randrange(self.keys) for _ in range(100)]
        c.send(b"".join(encode("SET", f"load:{k}", b"%d:" % k + b"v" * self.rng.choice(SIZES[:6])) for k in keys))
        c.send(b"".join(encode("GET", f"load:{k}") for k in keys))
        written = c.replies(100)
        self.refused += written.count(OOM)
        self.wrong += [reply for reply in written if reply not in ("OK", OOM)]
        for k, value in zip(keys, c.replies(100)):
            if value is not None and not value.startswith(b"%d:" % k):
                self.wrong.append((k, value[:40]))
        self.rounds += 1

    def wait_rounds(self, count):
        goal = self.rounds + count
        until(lambda: self.rounds >= goal or self.wrong, f"{count} rounds of load")


class Accounting(TarnCase):
    def test_used_memory_is_the_sum_of_its_parts(self):
        for size in SIZES:
            fill(self.c, 300, size, f"s{size}")
        m = numbers(self.c)
        self.assertEqual(m["used_memory"], sum(m[part] for part in PARTS))
        self.assertEqual(m["used_memory"], m["used_memory_dataset"] + m["used_memory_overhead"])
        self.assertEqual(m["used_memory_dataset"], m["mem_log_live"] + m["mem_large_values"])
        self.assertGreaterEqual(m["used_memory_dataset"], 300 * sum(SIZES))
        self.assertEqual(m["mem_clients_normal"], m["mem_connections"] + m["mem_client_buffers"])
        self.assertEqual(m["mem_not_counted_for_evict"], m["mem_client_buffers"])
        self.assertLessEqual(m["used_memory_startup"], m["used_memory"])

    @unittest.skipIf("address" in os.environ.get("TARN_SANITIZER", ""),
                     "a sanitizer's own memory is resident as well")
    def test_used_memory_grows_as_the_resident_memory_does(self):
        for what, count, size in (("small", 300000, 100), ("large", 400, 200000)):
            with self.subTest(what), Tarn() as tarn, tarn.connect() as c:
                fill(c, 100, 100)  # what the first requests bring into memory once is there
                rss, used = tarn.rss(), numbers(c)["used_memory"]
                fill(c, count, size, "more")
                grown = numbers(c)["used_memory"] - used
                self.assertGreater(grown, count * size)
                self.assertAlmostEqual(tarn.rss() - rss, grown, delta=grown * 0.03 + 2 * MIB)
                self.assertAlmostEqual(numbers(c)["used_memory_rss"], tarn.rss(), delta=MIB)

    def test_peak_stays_when_memory_goes(self):
        before = numbers(self.c)["used_memory"]
        fill(self.c, 100, 200000)
        full = numbers(self.c)["used_memory"]
        self.assertGreater(full, before + 100 * 200000)
        self.c.cmd("FLUSHALL")
        until(lambda: numbers(self.c)["used_memory"] < full - 15 * MIB, "the memory of flushed values to come back")
        m = numbers(self.c)
        self.assertGreaterEqual(m["used_memory_peak"], full)
        self.assertEqual(info(self.c, "memory")["used_memory_peak_perc"],
                         f"{100 * m['used_memory'] / m['used_memory_peak']:.2f}%")

    def test_connections_count(self):
        before = numbers(self.c)["mem_connections"]
        clients = [self.connect() for _ in range(50)]
        for c in clients:
            self.assertEqual(c.cmd("PING"), "PONG")
        self.assertGreaterEqual(numbers(self.c)["mem_connections"] - before, 50 * 300)
        for c in clients:
            c.close()
        until(lambda: numbers(self.c)["mem_connections"] == before, "the memory of closed connections to come back")

    def test_fields_that_tools_read(self):
        m = info(self.c, "memory")
        for name in ("used_memory used_memory_human used_memory_rss used_memory_peak used_memory_overhead "
                     "used_memory_startup used_memory_dataset allocator_allocated allocator_active allocator_resident "
                     "maxmemory maxmemory_policy allocator_frag_ratio allocator_frag_bytes allocator_rss_ratio "
                     "allocator_rss_bytes mem_fragmentation_ratio mem_fragmentation_bytes mem_not_counted_for_evict "
                     "mem_replication_backlog mem_clients_slaves mem_clients_normal mem_aof_buffer active_defrag_running "
                     "lazyfree_pending_objects total_system_memory").split():
            self.assertIn(name, m)
        self.assertEqual(m["allocator_allocated"], m["used_memory"])


class Turns(TarnCase):
    args = ("--enable-debug-command", "yes")

    def test_turns_are_measured_until_reset(self):
        self.c.cmd("DEBUG", "SLEEP", "0.05")
        s = numbers(self.c, "stats")
        self.assertGreaterEqual(s["turn_us_max"], 50000)
        self.assertLessEqual(s["turn_us_p50"], s["turn_us_p99"])
        self.assertLessEqual(s["turn_us_p99"], s["turn_us_p999"])
        self.assertLessEqual(s["turn_us_p999"], s["turn_us_max"])
        self.assertGreater(s["turns"], 2)
        self.assertIn("expire_lag_ms", s)
        self.assertEqual(self.c.cmd("CONFIG", "RESETSTAT"), "OK")
        self.assertLess(numbers(self.c, "stats")["turns"], s["turns"])

    def test_sleep_between_turns_is_not_part_of_them(self):
        self.c.cmd("CONFIG", "RESETSTAT")
        before = numbers(self.c, "server")["server_time_usec"]
        until(lambda: numbers(self.c, "stats")["turns"] > 30, "thirty turns")
        s = numbers(self.c, "stats")
        passed = numbers(self.c, "server")["server_time_usec"] - before
        self.assertLessEqual(s["turn_us_p50"] * s["turns"] / 2, passed)


class Memory(CompareCase):
    def both(self, *args):
        self.assertEqual(self.c.cmd(*args), self.r.cmd(*args), args)

    def test_usage_takes_what_redis_takes(self):
        self.both("MEMORY", "USAGE", "absent")
        self.both("MEMORY", "USAGE")
        self.both("MEMORY", "USAGE", "k", "SAMPLES")
        self.both("MEMORY", "USAGE", "k", "SAMPLES", "x")
        self.both("MEMORY", "USAGE", "k", "SAMPLES", "-1")
        self.both("MEMORY", "USAGE", "k", "SAMPLE", "1")
        self.both("MEMORY", "NOSUCH")
        self.both("MEMORY")
        self.both("MEMORY", "PURGE")
        self.both("MEMORY", "PURGE", "x")
        self.both("MEMORY", "STATS", "x")
        for size in (1, 100, 5000, 300000):
            self.c.cmd("SET", "k", b"x" * size)
            usage = self.c.cmd("MEMORY", "USAGE", "k", "SAMPLES", "0")
            self.assertGreater(usage, size)
            self.assertLess(usage, size * 1.05 + 4096 + 100)

    def test_usage_of_all_keys_is_about_the_memory_they_took(self):
        before = numbers(self.c)
        fill(self.c, 20000, 100)
        usage = sum(self.c.cmd("MEMORY", "USAGE", f"key:{i}") for i in range(0, 20000, 100)) * 100
        m = numbers(self.c)
        grown = sum(m[part] - before[part] for part in ("mem_log_live", "mem_index"))
        self.assertAlmostEqual(usage, grown, delta=grown * 0.05)

    def test_stats_are_those_of_info(self):
        fill(self.c, 1000, 100)
        self.c.cmd("SELECT", "3")
        fill(self.c, 10, 100)
        self.c.cmd("HELLO", "3")
        self.r.cmd("SET", "k", "v")
        self.r.cmd("SELECT", "3")
        self.r.cmd("SET", "k", "v")
        self.r.cmd("HELLO", "3")
        stats, theirs = self.c.cmd("MEMORY", "STATS"), self.r.cmd("MEMORY", "STATS")
        self.assertEqual([name for name in theirs if name not in stats], [])
        self.assertEqual({name: type(stats[name]) for name in theirs if name != "dataset.percentage"},
                         {name: type(theirs[name]) for name in theirs if name != "dataset.percentage"})
        self.assertEqual(stats[b"keys.count"], 1010)
        self.assertEqual(stats[b"total.allocated"], stats[b"overhead.total"] + stats[b"dataset.bytes"])
        parts = "log.live log.dead log.spare large.values being.freed index store.tables commands connections client.buffers sources"
        self.assertEqual(stats[b"total.allocated"], sum(stats[name.encode()] for name in parts.split()))
        self.assertEqual(set(stats[b"db.0"]), set(theirs[b"db.0"]) & set(stats[b"db.0"]))
        self.assertGreaterEqual(stats[b"peak.allocated"], stats[b"total.allocated"])

    def test_texts_for_people(self):
        fill(self.c, 1000, 100)
        self.assertRegex(self.c.cmd("MEMORY", "DOCTOR").decode(), r"MiB are used for 1000 keys")
        table = self.c.cmd("MEMORY", "MALLOC-STATS").decode()
        self.assertRegex(table, r"(?m)^index +\d+$")
        self.assertIn("USAGE key [SAMPLES count]", self.c.cmd("MEMORY", "HELP"))

    def test_doctor_says_when_writes_are_refused(self):
        with Tarn("--maxmemory", "8mb", "--maxmemory-policy", "noeviction") as tarn, tarn.connect() as c:
            self.assertGreater(fill(c, 20000, 1000), 0)
            self.assertIn("refused with -OOM", c.cmd("MEMORY", "DOCTOR").decode())


class ObjectUse(CompareCase):
    def test_idletime_and_freq_are_given_where_the_policy_knows(self):
        for policy in ("noeviction", "allkeys-lru", "volatile-lru", "allkeys-random", "volatile-ttl", "allkeys-lfu",
                       "volatile-lfu"):
            for c in (self.c, self.r):
                self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory-policy", policy), "OK")
                c.cmd("SET", "k", "v")
            for word in ("IDLETIME", "FREQ"):
                with self.subTest(policy=policy, word=word):
                    ours, theirs = self.c.cmd("OBJECT", word, "k"), self.r.cmd("OBJECT", word, "k")
                    self.assertEqual(type(ours), type(theirs))
                    self.assertTrue(isinstance(ours, int) or ours == theirs, (ours, theirs))
                    self.assertEqual(self.c.cmd("OBJECT", word, "absent"), self.r.cmd("OBJECT", word, "absent"))

    def test_use_counts_and_looking_does_not(self):
        self.c.cmd("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        self.addCleanup(self.c.cmd, "CONFIG", "SET", "maxmemory-policy", "allkeys-adaptive")
        self.c.cmd("SET", "k", "v")
        before = self.c.cmd("OBJECT", "FREQ", "k")
        for _ in range(20):
            self.c.cmd("GET", "k")
        self.assertEqual(self.c.cmd("OBJECT", "FREQ", "k"), before + 20)
        self.assertEqual(self.c.cmd("OBJECT", "FREQ", "k"), before + 20)


@unittest.skipUnless(os.path.exists("/sys/kernel/mm/transparent_hugepage"), "the kernel has no transparent huge pages")
class HugePages(unittest.TestCase):
    def flags(self, *options):
        """Those of all mappings: hg where huge pages were asked for, nh where they were refused."""
        with Tarn(*options) as tarn, tarn.connect() as c:
            for i in range(2000):  # the index has pages of its own by then
                c.cmd("SET", f"k{i}", "v")
            with open(f"/proc/{tarn.pid}/smaps", encoding="ascii") as f:
                return {word for line in f if line.startswith("VmFlags:") for word in line.split()[1:]}

    def test_they_are_refused(self):
        flags = self.flags()
        self.assertIn("nh", flags)
        self.assertNotIn("hg", flags)

    def test_they_are_asked_for_on_request(self):
        self.assertIn("hg", self.flags("--store-huge-pages", "yes"))


class Limit(unittest.TestCase):
    def test_it_holds_under_mixed_values(self):
        limit = 32 * MIB
        rng = random.Random(7)
        sanitized = "address" in os.environ.get("TARN_SANITIZER", "")
        with Tarn("--maxmemory", str(limit)) as tarn, tarn.connect() as c:
            rss = 0
            for _ in range(8):
                size = rng.choice(SIZES)
                for _ in range(10):
                    fill(c, min(2000, 4 * MIB // size), lambda _: max(1, int(size * rng.uniform(0.2, 1.5))),
                         f"k{rng.randrange(50)}")
                    m = numbers(c)
                    self.assertLessEqual(m["used_memory"] - m["mem_not_counted_for_evict"], limit * 1.03)
                    rss = max(rss, tarn.anonymous_bytes())
            self.assertGreater(numbers(c, "stats")["evicted_keys"], 0)
            self.assertGreater(m["used_memory"], limit * 0.9)
            if not sanitized:
                self.assertLessEqual(rss, limit * 1.03 + 4 * MIB)

    def test_noeviction_refuses_what_grows_and_nothing_else(self):
        with Tarn("--maxmemory", "8mb", "--maxmemory-policy", "noeviction") as tarn, tarn.connect() as c:
            c.cmd("SET", "kept", "value")
            for size in (1000, 100, 1):  # until not even the smallest fits
                self.assertGreater(fill(c, 20000, size, f"s{size}"), 0)
            for request in (("SET", "k", "v"), ("INCR", "absent"), ("APPEND", "kept", b"x" * 1000),
                            ("MSET", "a", "1", "b", "2"), ("SETEX", "k", "10", "v"), ("SETRANGE", "kept", "1000", "x"),
                            ("GETSET", "kept", b"y" * 1000), ("COPY", "kept", "other")):
                reply = c.cmd(*request)
                self.assertIsInstance(reply, Error, request)
                self.assertEqual(reply, OOM)
            self.assertEqual(c.cmd("GET", "kept"), b"value")
            self.assertEqual(c.cmd("EXPIRE", "kept", "100"), 1)
            self.assertEqual(c.cmd("PERSIST", "kept"), 1)
            for i in range(2000):
                self.assertEqual(c.cmd("EXPIRE", f"s1000:{i}", "1000"), 1)
            self.assertEqual(c.cmd("EXISTS", "kept"), 1)
            self.assertEqual(c.cmd("DEL", "kept"), 1)
            self.assertEqual(numbers(c, "stats")["evicted_keys"], 0)
            c.cmd("FLUSHALL")
            until(lambda: c.cmd("SET", "k", "v") == "OK", "room after FLUSHALL")

    def test_percentages(self):
        with Tarn("--maxmemory", "50%") as tarn, tarn.connect() as c:
            half = int(c.cmd("CONFIG", "GET", "maxmemory")[1])
            self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory", "25%"), "OK")
            quarter = int(c.cmd("CONFIG", "GET", "maxmemory")[1])
            self.assertAlmostEqual(half, 2 * quarter, delta=2)
            m = numbers(c)
            self.assertEqual(m["maxmemory"], quarter)
            self.assertLessEqual(half, m["total_system_memory"] // 2 + 1)
            self.assertIsInstance(c.cmd("CONFIG", "SET", "maxmemory", "101%"), Error)
            self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory", "1gb"), "OK")
            self.assertEqual(c.cmd("CONFIG", "GET", "maxmemory")[1], b"1073741824")

    def test_halving_it_under_load_works_in_slices(self):
        with Tarn("--maxmemory", "64mb") as tarn, tarn.connect() as c:
            fill(c, 60000, 1000)
            self.assertGreater(numbers(c)["used_memory"], 56 * MIB)
            with Load(tarn) as load:
                load.wait_rounds(3)
                c.cmd("CONFIG", "RESETSTAT")
                self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory", "32mb"), "OK")
                load.wait_rounds(3)  # answered meanwhile

                def fits():
                    m = numbers(c)
                    return m["used_memory"] - m["mem_not_counted_for_evict"] <= 32 * MIB * 1.03
                until(fits, "memory to sink to the new limit")
                load.wait_rounds(3)
                s = numbers(c, "stats")
            self.assertEqual((load.wrong, load.refused), ([], 0))
            print(f"# {s['turns']} turns, p99 {s['turn_us_p99']} us, longest {s['turn_us_max']} us")
            self.assertGreater(s["evicted_keys"], 20000)
            self.assertGreater(s["turns"], 10)  # in slices, not in one

    def test_policies_change_under_load(self):
        with Tarn("--maxmemory", "16mb", "--enable-debug-command", "yes") as tarn, tarn.connect() as c:
            policies = run_policies(c)
            fill(c, 20000, 1000)
            with Load(tarn, keys=30000) as load:
                for policy in policies * 2:
                    self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory-policy", policy), "OK")
                    self.assertEqual(info(c, "memory")["maxmemory_policy"], policy)
                    fill(c, 300, 500, f"by-{policy}", ttl=1000000)
                    load.wait_rounds(1)
                    refused = load.refused
                    load.wait_rounds(1)
                    if policy.startswith("allkeys"):
                        self.assertEqual(load.refused, refused, policy)
                    self.assertEqual(c.cmd("DEBUG", "CHECK"), "OK")
            self.assertEqual(load.wrong, [])


def run_policies(c):
    """The names that maxmemory-policy takes, out of the message for one it does not."""
    refusal = c.cmd("CONFIG", "SET", "maxmemory-policy", "nosuch")
    return refusal.rpartition("following: ")[2].split(", ")


class ClientBudget(unittest.TestCase):
    def test_slow_readers_do_not_evict_data(self):
        args = ("--maxmemory", "16mb", "--maxmemory-policy", "allkeys-lru")
        with Tarn(*args) as tarn, tarn.connect() as c:
            c.cmd("SET", "big", b"b" * 500000)
            fill(c, 10000, 1000)
            before = numbers(c)
            self.assertLess(before["used_memory"], 15 * MIB)
            slow = self.slow_readers(tarn, 12)
            until(lambda: numbers(c)["mem_client_buffers"] > 8 * MIB, "replies to pile up")
            m = numbers(c)
            self.assertGreater(m["used_memory"], 16 * MIB)  # counted
            fill(c, 300, 1000)
            self.assertEqual(numbers(c, "stats")["evicted_keys"], 0)  # but nothing had to go
            self.assertEqual(c.cmd("DBSIZE"), 10001)
            for s in slow:
                s.close()
            until(lambda: numbers(c)["mem_client_buffers"] < MIB, "buffers of closed clients to go")

    def slow_readers(self, tarn, count):
        """Clients that ask for much and read nothing."""
        slow = []
        for _ in range(count):
            s = tarn.connect()
            self.addCleanup(s.close)
            s.send(encode("GET", "big") * 20)
            slow.append(s)
        return slow

    def test_the_largest_are_closed_first(self):
        with Tarn("--maxmemory-clients", "3mb") as tarn, tarn.connect() as c:
            c.cmd("SET", "big", b"b" * 500000)
            spared = tarn.connect()
            self.addCleanup(spared.close)
            spared.cmd("CLIENT", "NO-EVICT", "ON")
            modest = tarn.connect()
            self.addCleanup(modest.close)
            self.slow_readers(tarn, 12)
            until(lambda: numbers(c, "stats")["evicted_clients"] > 0, "clients to be closed")
            until(lambda: numbers(c)["mem_client_buffers"] < 4 * MIB, "buffers to fit the budget")
            self.assertEqual(modest.cmd("PING"), "PONG")
            self.assertEqual(spared.cmd("PING"), "PONG")
            self.assertEqual(c.cmd("PING"), "PONG")

    def test_it_can_be_a_share_of_maxmemory(self):
        with Tarn("--maxmemory", "100mb") as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("CONFIG", "GET", "maxmemory-clients"), [b"maxmemory-clients", b"0"])
            self.assertEqual(c.cmd("CONFIG", "SET", "maxmemory-clients", "3%"), "OK")
            self.assertEqual(c.cmd("CONFIG", "GET", "maxmemory-clients"), [b"maxmemory-clients", b"3%"])
            c.cmd("SET", "big", b"b" * 500000)
            self.slow_readers(tarn, 12)
            until(lambda: numbers(c, "stats")["evicted_clients"] > 0, "clients to be closed")
            self.assertIsInstance(c.cmd("CONFIG", "SET", "maxmemory-clients", "101%"), Error)


if __name__ == "__main__":
    unittest.main()
