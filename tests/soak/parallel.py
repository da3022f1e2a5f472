"""All policies at once, for as long as one likes: parallel.py MINUTES [POLICY...]

A server of 256 MiB for each policy, each with its own stream of SETs and some GETs at a bounded rate, so that twelve of them
leave a small machine time for other things. The sizes of values change every minute. Resident memory of every server is
sampled every 100 ms; prints a line per policy with the highest sample and ends with 1 when one was above the bound.
"""
import sys
import time

from tarn import Tarn, stop_on_signal
from test_limit import LASTING_KEYS, MAXMEMORY_MIB, MIB, PHASE_SECONDS, PHASES_MIN, POLICIES, RSS_MAX, SIZES, keys_for
from watch import SAMPLE_SECONDS, fill, info, start_fill

RATE = 8 * MIB  # bytes per second and policy


class Soak:
    """One policy's server, its load and its highest sample."""

    def __init__(self, policy):
        self.policy = policy
        self.server = Tarn("--maxmemory", f"{MAXMEMORY_MIB}mb", "--maxmemory-policy", policy)
        self.expiry = ["--ttl", 3600] if policy.startswith("volatile") else []
        self.highest, self.sizes, self.samples, self.requests, self.refused = 0, "", 0, 0, 0
        self.load = None

    def fill(self):
        if self.expiry:
            fill(self.server, "--keys", LASTING_KEYS, "--from", 1 << 28, "--value", 1000)
        fill(self.server, "--keys", MAXMEMORY_MIB * 1024, "--value", 1024, *self.expiry)

    def begin(self, number, seconds):
        sizes = SIZES[number % len(SIZES)]
        self.load_sizes = sizes
        self.load = start_fill(self.server, "--random", "--keys", keys_for(sizes), "--value", sizes, "--gets", 20,
                               "--seconds", max(1, round(seconds)), "--seed", number + 1, "--pipeline", 16, "--rate", RATE,
                               *self.expiry)

    def is_running(self):
        return self.load.poll() is None

    def end(self):
        words = self.load.communicate()[0].split()
        if self.load.returncode != 0 or not self.server.is_alive():
            raise AssertionError(f"{self.policy}: the load ended with {self.load.returncode}\n{self.server.log()[-2000:]}")
        self.requests += int(words[0])
        self.refused += int(words[2])

    def sample(self):
        rss = self.server.rss()
        self.samples += 1
        if rss > self.highest:
            self.highest, self.sizes = rss, self.load_sizes

    def report(self):
        with self.server.connect() as c:
            evicted = info(c, "stats")["evicted_keys"]
        verdict = "ok" if self.highest <= RSS_MAX else "TOO HIGH"
        print(f"{self.policy}: at most {self.highest / MIB:.1f} MiB resident (values of {self.sizes} bytes) of "
              f"{RSS_MAX / MIB:.1f} allowed, {self.samples} samples, {self.requests} requests, {self.refused} refused, "
              f"{evicted} evicted: {verdict}", flush=True)
        return self.highest <= RSS_MAX


def sample_all(soaks):
    """Until the loads have ended; returns the longest time between two samples."""
    longest, before = 0.0, time.monotonic()
    while any(s.is_running() for s in soaks):
        for s in soaks:
            s.sample()
        time.sleep(max(0.0, before + SAMPLE_SECONDS - time.monotonic()))
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    return longest


def main():
    stop_on_signal()
    seconds = float(sys.argv[1]) * 60
    soaks = []
    try:
        for policy in sys.argv[2:] or POLICIES:
            soaks.append(Soak(policy))
            soaks[-1].fill()
        phase_seconds = min(PHASE_SECONDS, seconds / PHASES_MIN)
        gap = 0.0
        for number in range(round(seconds / phase_seconds)):
            for s in soaks:
                s.begin(number, phase_seconds)
            gap = max(gap, sample_all(soaks))
            for s in soaks:
                s.end()
        good = [s.report() for s in soaks]
        print(f"the longest time between two samples was {gap * 1e3:.0f} ms")
        return 0 if all(good) else 1
    finally:
        for s in soaks:
            if s.load is not None and s.is_running():
                s.load.kill()
            s.server.kill()


if __name__ == "__main__":
    sys.exit(main())
