"""Plots as SVG text, without libraries: grouped bars and lines. They follow the reader's light or dark theme.

    text = svg.bars("GET", ["P1", "P16"], [("tarn", [1.0, 1.0]), ("redis", [1.6, 5.0])], unit="times tarn")
    text = svg.lines("Hit ratio", [("lru", [(1, 10.5), (2, 14)])], x="cache size", y="%")
    svg.write(path, text)
"""
import math
from xml.sax.saxutils import escape

WIDTH = 760
HEIGHT = 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 60, 60
COLORS = ("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#7b5e00", "#495057", "#1864ab")
STYLE = """<style>
text { font: 12px sans-serif; fill: #212529 } .title { font-size: 15px; font-weight: bold }
.grid { stroke: #ced4da } .axis { stroke: #495057 }
@media (prefers-color-scheme: dark) { text { fill: #e9ecef } .grid { stroke: #495057 } .axis { stroke: #adb5bd } }
</style>"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def number(value):
    """Short and exact enough for an axis: 1500 -> 1.5k, 0.25 -> 0.25."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def ticks(low, high):
    """About five round numbers from low to high or a little beyond."""
    span = (high - low) or 1
    step = 10 ** math.floor(math.log10(span / 5))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 6)
    first = math.floor(low / step)
    return [step * i for i in range(first, math.ceil(high / step) + 1)]


def log_ticks(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


class Axis:
    """Maps values to pixels, between the first and the last tick."""

    def __init__(self, values, start, end, log=False, from_zero=False):
        low, high = min(values), max(values)
        self.ticks = log_ticks(low, high) if log else ticks(0 if from_zero else low, high)
        if len(self.ticks) == 1:
            self.ticks.append(self.ticks[0] * 10 if log else self.ticks[0] + 1)
        self.log, self.start, self.end = log, start, end

    def __call__(self, value):
        low, high = self.ticks[0], self.ticks[-1]
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


class Drawing:
    def __init__(self, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}">',
            STYLE]
        self.text(LEFT, 20, title, css="title")

    def text(self, x, y, text, anchor="start", css="", extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}" {extra}>'
                          f'{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, css):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>')

    def legend(self, names):
        x = LEFT
        for i, name in enumerate(names):
            self.parts.append(f'<rect x="{x}" y="32" width="11" height="11" fill="{COLORS[i % len(COLORS)]}"/>')
            self.text(x + 16, 42, name)
            x += 34 + 7 * len(name)

    def y_axis(self, axis, label):
        for value in axis.ticks:
            self.line(LEFT, axis(value), WIDTH - RIGHT, axis(value), "grid")
            self.text(LEFT - 6, axis(value) + 4, number(value), "end")
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.text(16, middle, label, "middle", extra=f'transform="rotate(-90 16 {middle:.0f})"')

    def x_axis(self, axis, label):
        for value in axis.ticks:
            self.line(axis(value), TOP, axis(value), HEIGHT - BOTTOM, "grid")
            self.text(axis(value), HEIGHT - BOTTOM + 16, number(value), "middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, label, "middle")

    def finish(self):
        self.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
        return "\n".join(self.parts + ["</svg>\n"])


def bars(title, groups, series, unit=""):
    """One cluster of bars per group; series are (name, [value or None for each group])."""
    values = [v for _, row in series for v in row if v is not None]
    drawing = Drawing(title)
    drawing.legend([name for name, _ in series])
    axis = Axis(values or [1], HEIGHT - BOTTOM, TOP, from_zero=True)
    drawing.y_axis(axis, unit)
    pitch = (WIDTH - LEFT - RIGHT) / max(1, len(groups))
    width = pitch * 0.8 / max(1, len(series))
    slanted = len(groups) > 8
    for g, group in enumerate(groups):
        left = LEFT + pitch * (g + 0.1)
        for s, (_, row) in enumerate(series):
            if row[g] is None:
                continue
            top = axis(row[g])
            drawing.parts.append(
                f'<rect x="{left + s * width:.1f}" y="{top:.1f}" width="{max(1, width - 1):.1f}" '
                f'height="{HEIGHT - BOTTOM - top:.1f}" fill="{COLORS[s % len(COLORS)]}">'
                f'<title>{escape(number(row[g]))}</title></rect>')
        x, y = left + pitch * 0.4, HEIGHT - BOTTOM + 16
        if slanted:
            drawing.text(x, y, group, "end", extra=f'transform="rotate(-30 {x:.0f} {y:.0f})"')
        else:
            drawing.text(x, y, group, "middle")
    return drawing.finish()


def lines(title, series, x="", y="", log_x=False, log_y=False):
    """Series are (name, [(x, y), ...]); points are joined in the order given."""
    drawing = Drawing(title)
    drawing.legend([name for name, _ in series])
    across = Axis([p[0] for _, points in series for p in points] or [1], LEFT, WIDTH - RIGHT, log_x)
    up = Axis([p[1] for _, points in series for p in points] or [1], HEIGHT - BOTTOM, TOP, log_y)
    drawing.x_axis(across, x)
    drawing.y_axis(up, y)
    for i, (_, points) in enumerate(series):
        path = " ".join(f"{across(px):.1f},{up(py):.1f}" for px, py in points)
        color = COLORS[i % len(COLORS)]
        drawing.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        for px, py in points:
            drawing.parts.append(f'<circle cx="{across(px):.1f}" cy="{up(py):.1f}" r="3" fill="{color}">'
                                 f'<title>{escape(number(px))}: {escape(number(py))}</title></circle>')
    return drawing.finish()
