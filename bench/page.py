"""The report: a page of markdown, plots beside it, and every single run as CSV."""
import csv
import os
import platform
import time

import svg

BUSY_MIN = 0.92  # below it a server waits for its client, and spends more per request


def machine():
    """A description of this machine in a few lines."""
    model = "?"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return [f"- {model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}",
            f"- load average at the end: {load}"]


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def spread(ratios):
    return f"{min(ratios):.2f}–{max(ratios):.2f}" if ratios else "?"


def cpu_cell(runs, name, base):
    """CPU per request, with how many times that is what `base` needs."""
    value = runs.median(name, "cpu_ns")
    if value is None:
        return "?"
    idle = "" if runs.median(name, "cpu_busy") >= BUSY_MIN else "°"
    if name == base:
        return f"{value:.0f}{idle}"
    return f"{value:.0f}{idle} (**{runs.ratio(name, 'cpu_ns', base):.2f}**)"


class Page:
    """Collects results and writes them below `folder` as <name>.md, <name>-*.svg and <name>.csv."""

    def __init__(self, context, folder, name):
        self.context = context
        self.folder = folder
        self.name = name
        self.base = context.programs[0].name
        self.names = [p.name for p in context.programs]
        self.peers = self.names[1:]
        self.parts = []

    def plot(self, name, text):
        file = f"{self.name}-{name}.svg"
        svg.write(os.path.join(self.folder, file), text)
        self.parts += ["", f"![{name}]({file})"]

    def loads(self, results):
        if not results:
            return
        self.parts += ["", "## Server CPU per request, ns", "",
                       "User and system time of the server's process. In brackets: how many times what tarn needs "
                       "(median of the ratios of neighbouring runs). ° the server was less than 92 % busy.", ""]
        self.parts += table(["workload"] + self.names,
                            [[r.workload.title] + [cpu_cell(r, n, self.base) for n in self.names] for r in results])
        if self.peers:
            self.plot("cpu", svg.bars("Server CPU per request, times tarn's", [r.workload.name for r in results],
                                      [(n, [r.ratio(n, "cpu_ns", self.base) for r in results]) for n in self.names],
                                      f"{self.base} = 1"))
        if self.peers and self.context.repeats > 1:
            self.parts += ["", "Lowest and highest of those ratios:", ""]
            self.parts += table(["workload"] + self.peers,
                                [[r.workload.title] + [spread(r.ratios(n, "cpu_ns", self.base)) for n in self.peers]
                                 for r in results])
        self.figures(results, "Of it in the kernel, ns", lambda r, n: f"{r.median(n, 'cpu_system_ns') or 0:.0f}")
        self.figures(results, "Throughput, thousand requests per second",
                     lambda r, n: f"{r.median(n, 'throughput') / 1000:.0f}")
        self.figures(results, "Latency, closed loop: p50 / p99 / p99.9, µs",
                     lambda r, n: " / ".join(f"{r.median(n, f):.0f}" for f in ("p50_us", "p99_us", "p99.9_us")))
        self.write_csv(results)

    def figures(self, results, title, cell):
        """A table with a row per workload and a column per server."""
        self.parts += ["", f"## {title}", ""]
        self.parts += table(["workload"] + self.names,
                            [[r.workload.title] + [cell(r, n) for n in self.names] for r in results])

    def section(self, s):
        self.parts += ["", f"## {s.title}", "", s.text, ""] + table(s.header, s.rows)

    def write_csv(self, results):
        rows = [{"server": n, "repeat": i + 1, **run} for r in results for n in self.names
                for i, run in enumerate(r.by_server[n])]
        with open(os.path.join(self.folder, self.name + ".csv"), "w", encoding="utf-8", newline="") as f:
            out = csv.DictWriter(f, rows[0].keys())
            out.writeheader()
            out.writerows(rows)

    def write(self, command):
        """The page so far; returns its path."""
        c = self.context
        head = [f"# Measured on {time.strftime('%Y-%m-%d')}", "",
                f"`{command}`: {c.repeats} repeats in turn, {c.seconds:g} s each after {c.warmup:g} s of warm-up. "
                f"[How, and what this does not show](../README.md).", "", *machine(),
                f"- servers on core {c.server_core}, load on core {c.load_core}",
                "- " + ", ".join(f"{p.name} {p.version}" for p in c.programs)]
        if c.problems:
            head += ["", "Requests that were refused:", ""] + [f"- {p}" for p in sorted(set(c.problems))]
        path = os.path.join(self.folder, self.name + ".md")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(head + self.parts) + "\n")
        return path
