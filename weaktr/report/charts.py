"""Charts of a report as inline SVG, whose colours and letters are those of the page."""

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 112, 14, 34
LABEL_GAP = 17
"""Least distance between the names at the ends of two lines."""


def line_chart(
    title: str, epochs: Sequence[int], lines: Mapping[str, Sequence[float]], unit: str = "epoch"
) -> str:
    """Lines over epochs, each with its name at its end.

    Args:
        title: For those who cannot see it.
        epochs: Numbers of the epochs.
        lines: Values by name; not finite ones leave a gap.
        unit: What the horizontal axis counts.
    """
    finite = [v for values in lines.values() for v in values if math.isfinite(v)]
    high = max([*finite, 1e-6])
    step = _round_step(high / 4)
    top = step * math.ceil(high / step)
    first, last = epochs[0], epochs[-1]

    def x(epoch: float) -> float:
        share = (epoch - first) / (last - first) if last > first else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">'
    ]
    for i in range(round(top / step) + 1):
        height = y(i * step)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" '
            f'y2="{height:.1f}"/><text x="{LEFT - 8}" y="{height + 4:.1f}" '
            f'text-anchor="end">{i * step:g}</text>'
        )
    for epoch in _few(epochs):
        parts.append(
            f'<text x="{x(epoch):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{epoch}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 5}" text-anchor="middle">{html.escape(unit)}</text>'
    )
    ends = []
    for i, (name, values) in enumerate(lines.items()):
        points = [(x(e), y(v)) for e, v in zip(epochs, values, strict=True) if math.isfinite(v)]
        if not points:
            continue
        drawn = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline class="line c{i % 4}" points="{drawn}"/>')
        if len(points) == 1:
            parts.append(
                f'<circle class="dot c{i % 4}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" '
                'r="3"/>'
            )
        ends.append((points[-1][1], name, i % 4))
    previous = -math.inf
    for rank, (height, name, colour) in enumerate(sorted(ends), start=1):
        lowest = HEIGHT - BOTTOM - LABEL_GAP * (len(ends) - rank)
        place = max(min(height, lowest), previous + LABEL_GAP)
        previous = place
        parts.append(
            f'<text class="name c{colour}" x="{WIDTH - RIGHT + 8}" y="{place + 4:.1f}">'
            f"{html.escape(name)}</text>"
        )
    parts.append("</svg>")
    return "".join(parts)


def _round_step(least: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= least * (1 - 1e-9))


def _few(epochs: Sequence[int], most: int = 8) -> list[int]:
    """First, last and some between, evenly."""
    if len(epochs) <= most:
        return list(epochs)
    places = [round(i * (len(epochs) - 1) / (most - 1)) for i in range(most)]
    return [epochs[i] for i in places]
