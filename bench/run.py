"""Running tarn-load, and taking turns: the loads of workloads.py, one server after the other, again and again."""
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

from servers import Server

SERVER_CORE = 0
LOAD_CORE = 1
SETTLE_SECONDS = 0.2
SETTLE_SECONDS_MAX = 60


class Context:
    """What all measurements need: programs (tarn first), the load generator, how long and how often."""

    def __init__(self, programs, load_path, replay_path, repeats, seconds, is_quick):
        self.programs = programs
        self.load_path = load_path
        self.replay_path = replay_path
        self.repeats = repeats
        self.seconds = seconds
        self.warmup = min(1.0, seconds / 4)
        self.is_quick = is_quick
        self.server_core = SERVER_CORE
        self.load_core = min(LOAD_CORE, os.cpu_count() - 1)
        self.started = time.monotonic()
        self.problems = []

    def say(self, text):
        print(f"{time.monotonic() - self.started:6.0f} s  {text}", file=sys.stderr, flush=True)

    def start(self, program, limit=0):
        return Server(program, self.server_core, limit)

    def load(self, server, *arguments):
        """One run of tarn-load; its result as a dict."""
        command = [self.load_path, "--port", str(server.port), "--pid", str(server.pid), "--core", str(self.load_core),
                   *server.program.load_arguments, "--format", "json", *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=None if sys.stderr.isatty() else subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise RuntimeError(f"{server.name}: tarn-load ended with {done.returncode}: {done.stderr or ''}\n"
                               f"{' '.join(command)}\n{server.log()[-2000:]}")
        result = json.loads(done.stdout)
        if result["errors"]:
            self.problems.append(f"{server.name}: {result['errors']} of {result['requests']} requests refused "
                                 f"({result['first_error']}) with `{' '.join(map(str, arguments))}`")
        return result

    def fill(self, server, keys, value, *arguments):
        """Writes every key once, in order."""
        return self.load(server, "--keys", keys, "--value", value, "--key-order", "sequential", "--reads", 0,
                         "--requests", keys, "--pipeline", 64, *arguments)

    def settle(self, server):
        """Waits until the server has done what filling left to do (memcached grows its table in another thread)."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        busy = SETTLE_SECONDS
        while busy > SETTLE_SECONDS / 20 and time.monotonic() < deadline:
            before = server.cpu_seconds()
            time.sleep(SETTLE_SECONDS)
            busy = server.cpu_seconds() - before


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


class Runs:
    """The results of one workload: for each server one dict per repeat, in the order they were made."""

    def __init__(self, workload, names):
        self.workload = workload
        self.by_server = {name: [] for name in names}

    def median(self, name, figure):
        return median([r[figure] for r in self.by_server[name]])

    def ratios(self, name, figure, base):
        """The figure of `name` divided by that of `base`, repeat by repeat: neighbours in time are compared."""
        return [a[figure] / b[figure] for a, b in zip(self.by_server[name], self.by_server[base])
                if a[figure] is not None and b[figure]]

    def ratio(self, name, figure, base):
        return median(self.ratios(name, figure, base))


def run_workload(context, workload, servers):
    runs = Runs(workload, [s.name for s in servers])
    for repeat in range(context.repeats):
        for server in servers:
            server.resume()
            result = context.load(server, *workload.arguments(), "--seconds", context.seconds,
                                  "--warmup", context.warmup, "--seed", repeat + 1, "--name", workload.name)
            server.pause()
            runs.by_server[server.name].append(result)
    cells = "  ".join(f"{s.name} {runs.median(s.name, 'cpu_ns'):.0f}" for s in servers)
    context.say(f"{workload.name}: CPU ns/request  {cells}")
    return runs


def run_workloads(context, workloads):
    """All loads, as they are done: those on equal data one after another on the same servers. Yields Runs."""
    for data in dict.fromkeys(w.data for w in workloads):
        with ExitStack() as stack:
            servers = []
            for program in context.programs:
                server = stack.enter_context(context.start(program, data.limit))
                context.fill(server, data.keys, data.value)
                context.settle(server)
                server.pause()
                servers.append(server)
            context.say(f"filled {len(servers)} servers with {data.keys} values of {data.value} bytes")
            for workload in workloads:
                if workload.data == data:
                    yield run_workload(context, workload, servers)
