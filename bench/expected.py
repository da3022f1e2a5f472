#!/usr/bin/python3
"""Compares the store's miss ratios with those of simulations: expected.py REPLAY FOLDER [FRACTION...]

FOLDER holds traces (*.txt.gz) and expected.csv, one row per trace and fraction of the footprint: miss ratios of exact
policies (exact_*) and of policies over 256 segments (segment_*), at equal byte capacity. Without FOLDER the variable
TRACES names it. Exits with 1 when a policy misses more than the tolerated points above its column.
"""
import csv
import glob
import os
import subprocess
import sys
import tempfile

COLUMNS = {
    "allkeys-fifo": "segment_fifo",
    "allkeys-lru": "segment_lru_clock2bit",
    "allkeys-lfu": "segment_lfu",
    "allkeys-adaptive": "segment_adaptive",
}
TOLERATED_POINTS = 0.5
ABOVE_LRU_POINTS = 1.0
FEWER_PERCENT = 6.0


def read_expected(folder):
    with open(os.path.join(folder, "expected.csv"), encoding="utf-8") as f:
        return {(row["trace"], float(row["size_fraction_of_footprint"])): row for row in csv.DictReader(f)}


def replay(binary, traces, fractions):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "replay.csv")
        subprocess.run([binary, "--quiet", "--equal-bytes", "--policies", ",".join(COLUMNS), "--fractions",
                        ",".join(fractions), "--csv", path, *traces], check=True)
        with open(path, encoding="utf-8") as f:
            return list(csv.DictReader(f))


def differences(results, expected):
    """policy -> list of (trace, fraction, ours, expected, exact LRU), where there is something to compare with."""
    found = {policy: [] for policy in COLUMNS}
    for row in results:
        reference = expected.get((row["trace"], float(row["fraction"])), {})
        wanted = reference.get(COLUMNS[row["policy"]])
        if wanted:
            found[row["policy"]].append((row["trace"], row["fraction"], float(row["miss_ratio"]), float(wanted),
                                         float(reference["exact_lru"])))
    return found


def report(found):
    print("| trace | fraction | policy | ours | expected | points | exact LRU | points |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for policy, rows in found.items():
        for trace, fraction, ours, wanted, lru in rows:
            print(f"| {trace} | {fraction} | {policy} | {ours:.4f} | {wanted:.4f} | {(ours - wanted) * 100:+.2f} | "
                  f"{lru:.4f} | {(ours - lru) * 100:+.2f} |")


def summary(found):
    """Prints it; true when everything is within its bound."""
    good = True
    for policy, rows in found.items():
        if not rows:
            continue
        points = [(ours - wanted) * 100 for _, _, ours, wanted, _ in rows]
        good = good and max(points) <= TOLERATED_POINTS
        print(f"{policy}: {len(rows)} points, mean {sum(points) / len(points):+.2f}, worst {max(points):+.2f} against "
              f"its column")
    rows = found["allkeys-adaptive"]
    above = max((ours - lru) * 100 for _, _, ours, _, lru in rows)
    fewer = 100 * sum(1 - ours / lru for _, _, ours, _, lru in rows) / len(rows)
    print(f"allkeys-adaptive against exact LRU: {fewer:.2f} % fewer misses on average, worst {above:+.2f} points")
    return good and round(above, 2) <= ABOVE_LRU_POINTS and fewer >= FEWER_PERCENT


def main():
    if len(sys.argv) < 2 or not (len(sys.argv) > 2 or os.environ.get("TRACES")):
        sys.exit(__doc__)
    folder = sys.argv[2] if len(sys.argv) > 2 else os.environ["TRACES"]
    traces = sorted(glob.glob(os.path.join(folder, "*.txt.gz")))
    fractions = sys.argv[3:] or ["0.01", "0.03", "0.1", "0.3"]
    found = differences(replay(sys.argv[1], traces, fractions), read_expected(folder))
    report(found)
    print()
    sys.exit(0 if summary(found) else 1)


if __name__ == "__main__":
    main()
