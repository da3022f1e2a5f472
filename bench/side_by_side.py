"""Server CPU per request of tarn and redis-server under redis-benchmark: side_by_side.py TARN [--quick]

Each server runs alone, pinned to the last core; redis-benchmark runs on the other cores. CPU is what the kernel
charged to the server's process (user and system time in /proc/PID/stat) while the requests ran, so a busy machine
changes the throughput but hardly this figure. The two servers take turns within each row: a drift of the machine
meets both.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))

import tarn  # noqa: E402

REQUESTS = 1000000
KEYS = 100000
VALUE_BYTES = 100
CLIENTS = 50
PIPELINES = (1, 16, 64)
ROUNDS = 3  # the best of them counts: noise only ever adds


def run(server, command, pipeline, requests, cores):
    """(CPU nanoseconds per request, requests per second) of one run of redis-benchmark."""
    before = server.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", cores, "redis-benchmark", "-p", str(server.port), "-q", "-t", command, "-n", str(requests),
         "-r", str(KEYS), "-d", str(VALUE_BYTES), "-c", str(CLIENTS), "-P", str(pipeline)],
        capture_output=True, text=True, check=True)
    rate = re.search(r"([\d.]+) requests per second", done.stdout)
    if not rate:
        sys.exit(f"redis-benchmark said:\n{done.stdout}\n{done.stderr}")
    return (server.cpu_seconds() - before) / requests * 1e9, float(rate.group(1))


def main():
    quick = "--quick" in sys.argv
    os.environ["TARN_BIN"] = sys.argv[1]
    requests = REQUESTS // 10 if quick else REQUESTS
    last = os.cpu_count() - 1
    cores = "0" if last < 2 else f"0-{last - 1}"

    def pin():
        os.sched_setaffinity(0, {last})

    with tarn.Tarn(preexec=pin) as subject, tarn.Redis(preexec=pin) as reference:
        version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
        print(f"{requests} requests per cell, {CLIENTS} connections, {VALUE_BYTES}-byte values, {KEYS} keys; best of "
              f"{ROUNDS}; redis-server {re.search(r'v=([0-9.]+)', version).group(1)}\n")
        print("| command | pipeline | tarn CPU ns/request | redis CPU ns/request | ratio | tarn req/s | redis req/s |")
        print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
        for command in ("set", "get"):
            for pipeline in PIPELINES:
                best = {}
                for _ in range(ROUNDS):
                    for server in (reference, subject):
                        cpu, rate = run(server, command, pipeline, requests, cores)
                        old = best.get(server, (float("inf"), 0))
                        best[server] = (min(old[0], cpu), max(old[1], rate))
                (ours, our_rate), (theirs, their_rate) = best[subject], best[reference]
                print(f"| {command.upper()} | {pipeline} | {ours:.0f} | {theirs:.0f} | {theirs / ours:.2f} | "
                      f"{our_rate:.0f} | {their_rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
