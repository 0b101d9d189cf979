"""Learning curves: as text for terminals, as SVG for notebooks, and as PNG if matplotlib is installed."""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from collections.abc import Sequence

Points = Sequence[tuple[float, float]]

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of a braille cell, by row and column


def draw_text(points: Points, *, width: int = 64, height: int = 10) -> str:
    """Return a plot of points in braille dots, with labels at the ends of its axes.

    Args:
        points: x and y, with x ascending. Points that are not finite are left out.
        width: columns of the plot itself.
        height: lines of the plot itself.
    """
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return "(no points yet)"
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    left, right = finite[0][0], finite[-1][0]
    cells = [[0] * width for _ in range(height)]
    for x, y in _interpolated(finite, 2 * width):
        column = _scaled(x, left, right, 2 * width)
        row = 4 * height - 1 - _scaled(y, low, high, 4 * height)
        cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    labels = [f"{high:.5g}", *[""] * (height - 2), f"{low:.5g}"][:height]
    margin = max(map(len, labels))
    lines = [
        f"{label:>{margin}} ┤" + "".join(chr(_BRAILLE + bits) for bits in row).rstrip(chr(_BRAILLE))
        for label, row in zip(labels, cells, strict=True)
    ]
    start, end = f"{left:,.0f}", f" {right:,.0f} steps"
    return "\n".join(
        [*lines, " " * margin + " └" + "─" * width, " " * (margin + 2) + start + end.rjust(width - len(start))]
    )


def _scaled(value: float, low: float, high: float, count: int) -> int:
    return 0 if high == low else min(count - 1, int((value - low) / (high - low) * count))


def _interpolated(points: Points, count: int) -> list[tuple[float, float]]:
    """Return the points, with more points between two that are far apart, so that the dots form a line."""
    span = (points[-1][0] - points[0][0]) or 1.0
    dense = [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        pieces = max(1, math.ceil((x1 - x0) / span * count))
        dense += [(x0 + (x1 - x0) * i / pieces, y0 + (y1 - y0) * i / pieces) for i in range(1, pieces + 1)]
    return dense


def draw_svg(
    training: Sequence[tuple[float, float, float]],
    evaluations: Points,
    threshold: float | None = None,
    *,
    width: int = 600,
    height: int = 240,
) -> str:
    """Return an SVG plot of training returns with their spread, and of evaluations, over steps.

    Args:
        training: steps, mean return and its standard deviation; values that are not finite are left out.
        evaluations: steps and mean return; returns that are not finite are left out.
        threshold: the return to stop at.
        width: in pixels.
        height: in pixels.
    """
    means = _thinned([row for row in training if all(map(math.isfinite, row))], width // 2)
    evaluations = [(x, y) for x, y in evaluations if math.isfinite(y)]
    heights = [value for _, y, s in means for value in (y - s, y + s)] + [y for _, y in evaluations]
    heights += [threshold] if threshold is not None else []
    if not heights:
        return '<svg width="0" height="0"></svg>'
    low, high = min(heights), max(heights)
    right = max([x for x, _, _ in means] + [x for x, _ in evaluations] + [1.0])
    left_margin, bottom = 48, height - 20

    def at(x: float, y: float) -> str:
        across = left_margin + (width - left_margin - 8) * x / right
        return f"{across:.1f},{bottom - (bottom - 8) * (y - low) / ((high - low) or 1.0):.1f}"

    band = [at(x, y + s) for x, y, s in means] + [at(x, y - s) for x, y, s in reversed(means)]
    line = " ".join(at(x, y) for x, y, _ in means)
    parts = [
        f'<polygon points="{" ".join(band)}" fill="#4c78a8" opacity="0.2"/>',
        f'<polyline points="{line}" fill="none" stroke="#4c78a8" stroke-width="1.5"/>',
    ]
    for x, y in evaluations:
        across, down = at(x, y).split(",")
        parts.append(f'<circle cx="{across}" cy="{down}" r="3" fill="#f58518"><title>{y:.1f}</title></circle>')
    if threshold is not None:
        ends = f"{at(0.0, threshold)} {at(right, threshold)}"
        parts.append(f'<polyline points="{ends}" fill="none" stroke="grey" stroke-dasharray="4"/>')
    for y in ticks(low, high):
        across, down = at(0.0, y).split(",")
        parts.insert(0, f'<path d="M{across},{down} H{width - 8}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left_margin - 4}" y="{float(down) + 4:.1f}" text-anchor="end">{y:g}</text>')
    parts += [
        f'<path d="M{left_margin},8 V{bottom} H{width - 8}" fill="none" stroke="black"/>',
        f'<text x="{width - 8}" y="{height - 5}" text-anchor="end">{right:,.0f} steps</text>',
        f'<text x="{left_margin}" y="{height - 5}">return: training ± deviation (blue), evaluations (orange)</text>',
    ]
    style = 'font-family="sans-serif" font-size="11" style="background:white"'
    return f'<svg width="{width}" height="{height}" {style}>{"".join(parts)}</svg>'


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most so many round numbers in a range, evenly spread; at least one if the range is not empty."""
    if not math.ulp(low) < high - low < math.inf:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1.0, 2.0, 5.0, 10.0, 20.0) if (high - low) / (factor * step) < most)
    return [float(f"{number * step:.12g}") for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _thinned(rows: Sequence[tuple[float, float, float]], count: int) -> Sequence[tuple[float, float, float]]:
    """Return at most so many rows, evenly spread, the last among them."""
    step = -(-len(rows) // count) or 1
    return rows[::-step][::-1] if rows else rows


def can_draw_png() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def preload() -> None:
    """Import the packages of `draw_png`, which takes a while; call it in a thread while the process is idle."""
    if can_draw_png():
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401


def release_fonts() -> None:
    """Close the files of fonts. Matplotlib keeps them open for every thread that has drawn, also when it has ended."""
    manager = sys.modules.get("matplotlib.font_manager")
    opened = getattr(manager, "_get_font", None)  # a cache; matplotlib has no public way to empty it
    if opened is not None:
        opened.cache_clear()


def draw_png(path: str, title: str, training: Points, evaluations: Points, threshold: float | None) -> None:
    """Write a plot of training returns and evaluations over steps.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0))
    figure.subplots_adjust(left=0.13, right=0.98, bottom=0.12, top=0.92)  # a layout engine would draw the plot twice
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(*_columns(training), linewidth=1.2, label="training episodes, running mean")
    axes.plot(*_columns(evaluations), "o-", linewidth=1.0, markersize=3.5, label="evaluations")
    if threshold is not None:
        axes.axhline(threshold, linestyle=":", color="grey", label=f"stop at {threshold:g}")
    axes.set(title=title, xlabel="environment steps", ylabel="return")
    axes.legend(loc="lower right", fontsize="small")
    axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110)


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
