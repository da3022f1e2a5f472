#!/usr/bin/python3
"""Draws what bench/replay wrote: hit ratio against memory, one panel per trace: plot.py RESULTS.csv > OUT.svg"""
import csv
import math
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 44, 34, 46
COLUMNS = 2
LEGEND = 40
LEGEND_STEP = 150
COLOURS = ("#1b6ca8", "#c8553d", "#2e933c", "#8b5fbf", "#b8860b", "#444444", "#d46a9f", "#2a9d8f")
# Curves that lie upon one another show through by their dashes.
DASHES = ("", "9 4", "2 4", "", "9 4", "2 4", "6 3 2 3", "1 3")
MIB = 1 << 20


def read(path):
    """trace -> policy (with the system, unless it is the store) -> list of (memory, hit ratio)."""
    traces = {}
    with open(path, encoding="utf-8") as f:
        for row in csv.DictReader(f):
            name = row["policy"] if row["system"] == "store" else f"{row['policy']} at {row['system']}"
            curve = traces.setdefault(row["trace"], {}).setdefault(name, [])
            curve.append((float(row["memory"]), 1 - float(row["miss_ratio"])))
    return traces


def text(x, y, words, anchor="middle", size=11):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def ticks(low, high):
    """Round numbers around the values, about five."""
    span = max(high - low, 0.01)
    step = 10 ** math.floor(math.log10(span / 2))
    step = next(step * m for m in (0.2, 0.5, 1, 2, 5) if span / (step * m) <= 6)
    return [i * step for i in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def size_words(memory):
    return f"{memory / MIB:.3g} MiB" if memory >= MIB / 10 else f"{memory / 1024:.3g} KiB"


def panel(x, y, trace, curves, styles):
    points = [p for curve in curves.values() for p in curve]
    sizes = sorted({memory for memory, _ in points})
    ratios = ticks(min(r for _, r in points), max(r for _, r in points))
    low, high = ratios[0], ratios[-1]
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(memory):
        span = math.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else 1
        return x + LEFT + width * math.log(memory / sizes[0]) / span

    def at_y(ratio):
        return y + TOP + height * (high - ratio) / (high - low)

    out = [text(x + LEFT + width / 2, y + TOP - 12, f"{trace}: hits by memory", size=13)]
    for ratio in ratios:
        out.append(f'<line x1="{x + LEFT}" x2="{x + WIDTH - RIGHT}" y1="{at_y(ratio):.1f}" y2="{at_y(ratio):.1f}" '
                   'stroke="#ddd"/>')
        out.append(text(x + LEFT - 6, at_y(ratio) + 4, f"{ratio * 100:.4g} %", "end"))
    for memory in sizes:
        out.append(text(at_x(memory), y + TOP + height + 20, size_words(memory)))
    for name, curve in curves.items():
        path = " ".join(f"{at_x(m):.1f},{at_y(r):.1f}" for m, r in sorted(curve))
        out.append(f'<polyline points="{path}" fill="none" stroke-width="1.8" {styles[name]}/>')
        out += [f'<circle cx="{at_x(m):.1f}" cy="{at_y(r):.1f}" r="2" {styles[name]} '
                'fill="white"/>' for m, r in curve]
    return out


def draw(traces):
    names = list(dict.fromkeys(name for curves in traces.values() for name in curves))
    styles = {name: f'stroke="{COLOURS[i % len(COLOURS)]}" stroke-dasharray="{DASHES[i % len(DASHES)]}"'
              for i, name in enumerate(names)}
    columns = min(COLUMNS, len(traces))
    rows = -(-len(traces) // columns)
    width = max(columns * WIDTH, LEGEND_STEP * len(names))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{rows * HEIGHT + LEGEND}" '
           'font-family="sans-serif">', '<rect width="100%" height="100%" fill="white"/>']
    for i, name in enumerate(names):
        at = 10 + LEGEND_STEP * i
        out.append(f'<line x1="{at}" x2="{at + 26}" y1="16" y2="16" stroke-width="2.4" {styles[name]}/>')
        out.append(text(at + 32, 20, name, "start"))
    for i, (trace, curves) in enumerate(traces.items()):
        out += panel(i % columns * WIDTH, LEGEND + i // columns * HEIGHT, trace, curves, styles)
    return "\n".join(out + ["</svg>\n"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    traces = read(sys.argv[1])
    if not traces:
        sys.exit(f"{sys.argv[1]} holds no results")
    sys.stdout.write(draw(traces))


if __name__ == "__main__":
    main()
