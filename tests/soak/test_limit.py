"""Resident memory stays at the limit while value sizes change, under every policy; what eviction costs.

SOAK_SECONDS is the time per policy; the distribution of sizes changes a hundred times a minute at most, every minute in
long runs, at least five times.
"""
import os
import sys
import unittest

from tarn import Tarn
from watch import Samples, fill, finish_fill, info, seconds_per_policy, start_fill

MIB = 1 << 20
MAXMEMORY_MIB = 256
RSS_MAX = int(MAXMEMORY_MIB * MIB * 1.03) + 8 * MIB
POLICIES = ("noeviction", "allkeys-fifo", "allkeys-lru", "allkeys-lfu", "allkeys-random", "allkeys-adaptive",
            "volatile-fifo", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "volatile-adaptive")
# Bytes per value, one after the other; of a range all magnitudes are equally frequent.
SIZES = ("8-64", "100", "1000-4000", "8-65536", "40000-65536", "300-500", "65536", "64-1024", "17000-20000", "8")
PHASE_SECONDS = 60
PHASES_MIN = 5
LASTING_KEYS = 20000  # keys without expiry under policies that spare them: 20 MB
EVICTION_CPU_RATIO = 1.4
EVICTION_KEYS = 1000000


def keys_for(sizes):
    """A number of keys that would take about four times the limit."""
    bounds = [int(x) for x in sizes.split("-")]
    return 4 * MAXMEMORY_MIB * MIB // (sum(bounds) // len(bounds) + 40)


class Limit(unittest.TestCase):
    def churn(self, policy, seconds):
        """(highest RSS, its phase) over the whole time."""
        phase_seconds = min(PHASE_SECONDS, seconds / PHASES_MIN)
        highest = (0, "")
        with Tarn("--maxmemory", f"{MAXMEMORY_MIB}mb", "--maxmemory-policy", policy) as server:
            if policy.startswith("volatile"):
                fill(server, "--keys", LASTING_KEYS, "--from", 1 << 28, "--value", 1000)
            for i in range(max(PHASES_MIN, round(seconds / phase_seconds))):
                sizes = SIZES[i % len(SIZES)]
                options = ["--random", "--keys", keys_for(sizes), "--value", sizes, "--gets", 20, "--seconds",
                           max(1, round(phase_seconds)), "--seed", i + 1, "--pipeline", 16]
                if policy.startswith("volatile"):
                    options += ["--ttl", 3600]
                with Samples(server) as samples:
                    finish_fill(start_fill(server, *options))
                highest = max(highest, (max(samples.rss), f"phase {i}, values of {sizes} bytes"))
            with server.connect() as c:
                numbers = info(c, "memory")
                self.assertLess(int(numbers["used_memory"]), RSS_MAX)
                self.assertEqual(c.cmd("PING"), "PONG")
        return highest

    def cpu_per_set(self, server, first, keys):
        before = server.cpu_seconds()
        fill(server, "--keys", keys, "--from", first, "--value", 100, "--pipeline", 16)
        return (server.cpu_seconds() - before) / keys

    def test_eviction_costs_little_beside_the_write(self):
        with Tarn("--maxmemory", "0") as server:
            self.cpu_per_set(server, 0, EVICTION_KEYS // 4)
            without = self.cpu_per_set(server, EVICTION_KEYS, EVICTION_KEYS)
        with Tarn("--maxmemory", "32mb") as server:
            self.cpu_per_set(server, 0, EVICTION_KEYS // 2)
            evicting = self.cpu_per_set(server, EVICTION_KEYS, EVICTION_KEYS)
            with server.connect() as c:
                self.assertGreater(int(info(c, "stats")["evicted_keys"]), EVICTION_KEYS)
        sys.stdout.write(f"# CPU per SET: {without * 1e9:.0f} ns without eviction, {evicting * 1e9:.0f} ns with it\n")
        self.assertLess(evicting, without * EVICTION_CPU_RATIO)


def add_case(policy):
    def case(self):
        rss, phase = self.churn(policy, seconds_per_policy())
        sys.stdout.write(f"# {policy}: at most {rss / MIB:.1f} MiB resident ({phase}), allowed "
                         f"{RSS_MAX / MIB:.1f} MiB\n")
        self.assertLessEqual(rss, RSS_MAX, phase)
    setattr(Limit, "test_rss_stays_at_the_limit_under_" + policy.replace("-", "_"), case)


for name in os.environ.get("SOAK_POLICIES", " ".join(POLICIES)).split():
    add_case(name)
