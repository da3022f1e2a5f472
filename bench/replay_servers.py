#!/usr/bin/python3
"""Misses of tarn's default policy beside redis-server's at equal maxmemory, over the protocol.

    replay_servers.py TARN REPLAY [--quick] TRACE...

Every run has a fresh server. A trace is replayed in as many copies side by side as make its footprint 64 MiB (at most
2 million requests; --quick: half a million), so that the size of an empty server plays no part. Prints a markdown table
and a summary; exits with 1 when tarn does not miss less on every row, or not a tenth less on average. Where all three
miss hardly more than the first requests for each key, nothing can be gained, and the row does not count.
"""
import csv
import gzip
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))

import tarn  # noqa: E402

FRACTIONS = ("0.1", "0.3", "0.6")
FOOTPRINT = 64 << 20
REQUESTS_MAX = 2000000
REQUESTS_QUICK = 500000
MEMORY_MIN = 3 << 20
REFERENCES = ("allkeys-lru", "allkeys-lfu")


def measure(binary, server, policy, trace, copies, fraction):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "replay.csv")
        subprocess.run([binary, "--quiet", "--server", f"127.0.0.1:{server.port}", "--policies", policy, "--copies",
                        str(copies), "--fractions", fraction, "--csv", path, trace], check=True)
        with open(path, encoding="utf-8") as f:
            return next(csv.DictReader(f))


def shape(trace):
    """(requests, keys, footprint) of a trace file, read as the replay reads it."""
    sizes = {}
    requests = 0
    with (gzip.open if trace.endswith(".gz") else open)(trace, "rt", encoding="utf-8") as f:
        for line in f:
            fields = line.split()
            sizes.setdefault(fields[1], int(fields[2]))
            requests += 1
    return requests, len(sizes), sum(sizes.values())


def rows_of(binary, trace, requests_max):
    requests, keys, footprint = shape(trace)
    copies = max(1, min(-(-FOOTPRINT // footprint), requests_max // requests))
    for fraction in FRACTIONS:
        if float(fraction) * footprint * copies < MEMORY_MIN:
            continue
        with tarn.Tarn("--save", "") as server:
            ours = measure(binary, server, "allkeys-adaptive", trace, copies, fraction)
        theirs = []
        for policy in REFERENCES:
            with tarn.Redis() as server:
                theirs.append(float(measure(binary, server, policy, trace, copies, fraction)["miss_ratio"]))
        yield ours, theirs, keys / requests


def main():
    arguments = [a for a in sys.argv[1:] if a != "--quick"]
    if len(arguments) < 3:
        sys.exit(__doc__)
    os.environ["TARN_BIN"], binary = arguments[:2]
    requests_max = REQUESTS_QUICK if "--quick" in sys.argv else REQUESTS_MAX
    print("| trace | maxmemory MiB | tarn | " + " | ".join(REFERENCES) + " | fewer misses than the better |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    fewer = {policy: [] for policy in REFERENCES}
    for trace in arguments[2:]:
        for ours, theirs, cold in rows_of(binary, trace, requests_max):
            miss = float(ours["miss_ratio"])
            part = 100 * (1 - miss / min(theirs))
            note = ""
            if max(theirs + [miss]) < cold + 0.001:
                note = " (first requests only)"
            else:
                for policy, other in zip(REFERENCES, theirs):
                    fewer[policy].append(100 * (1 - miss / other))
            print(f"| {ours['trace']} | {int(ours['memory']) / (1 << 20):.1f} | {miss:.4f} | "
                  f"{theirs[0]:.4f} | {theirs[1]:.4f} | {part:+.1f} %{note} |", flush=True)
    print()
    good = True
    for policy, parts in fewer.items():
        mean = sum(parts) / len(parts)
        good = good and mean >= 10 and min(parts) > 0
        print(f"against {policy}: {mean:.1f} % fewer misses on average, {min(parts):+.1f} % at worst, {len(parts)} rows")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
