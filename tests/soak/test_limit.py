"""Resident memory stays at the limit while value sizes change, under every policy; what eviction costs.

SOAK_SECONDS is the time per policy; the distribution of sizes changes every minute, in short runs as often as makes five
of them.
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
EVICTION_KEYS = 300000
EVICTION_ROUNDS = 5


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
            expiry = []
            if policy.startswith("volatile"):
                expiry = ["--ttl", 3600]
                fill(server, "--keys", LASTING_KEYS, "--from", 1 << 28, "--value", 1000)
            # Full from the start, however slow the machine.
            fill(server, "--keys", MAXMEMORY_MIB * 1024, "--value", 1024, *expiry)
            for i in range(max(PHASES_MIN, round(seconds / phase_seconds))):
                sizes = SIZES[i % len(SIZES)]
                options = ["--random", "--keys", keys_for(sizes), "--value", sizes, "--gets", 20, "--seconds",
                           max(1, round(phase_seconds)), "--seed", i + 1, "--pipeline", 16, *expiry]
                with Samples(server) as samples:
                    finish_fill(start_fill(server, *options))
                highest = max(highest, (max(samples.rss), f"phase {i}, values of {sizes} bytes"))
            with server.connect() as c:
                numbers = info(c, "memory")
                self.assertLess(int(numbers["used_memory"]), RSS_MAX)
                self.assertGreater(highest[0], MAXMEMORY_MIB * MIB * 0.9)
                self.assertEqual(c.cmd("PING"), "PONG")
        return highest

    def cpu_per_set(self, server, first, keys):
        before = server.cpu_seconds()
        fill(server, "--keys", keys, "--from", first, "--value", 100, "--pipeline", 16)
        return (server.cpu_seconds() - before) / keys

    def test_eviction_costs_little_beside_the_write(self):
        # Both take turns, and the best round of each counts: what else the machine does only ever adds.
        with Tarn("--maxmemory", "0") as plain, Tarn("--maxmemory", "32mb") as limited:
            best = {}
            for i in range(EVICTION_ROUNDS + 1):
                for server in (plain, limited):
                    cost = self.cpu_per_set(server, i * EVICTION_KEYS, EVICTION_KEYS)
                    if i > 0:  # the first round fills
                        best[server] = min(cost, best.get(server, cost))
            with limited.connect() as c:
                self.assertGreater(int(info(c, "stats")["evicted_keys"]), EVICTION_KEYS * EVICTION_ROUNDS * 0.9)
            without, evicting = best[plain], best[limited]
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
