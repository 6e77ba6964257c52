"""Tables and map of what clipping gains under label noise, for docs/evidence.md."""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from scripts.clipping_runs import CLIPPED, LOSSES, PLAIN, ByLoss, Found, Runs, noises
from scripts.pages import draw_map, mean_and_deviation

STARTS = (0.85, 1.0, 1.1, 1.6, math.inf)
"""Groups of start values as shares of cross-entropy's final loss: bounds from above."""
SHARES = (1, 20, 30, 50, math.inf)
"""Groups of `clipped_objects` in percent: bounds from above."""


def pairs(by_loss: ByLoss, loss: str) -> list[tuple[Found, Found]]:
    """The runs with cross-entropy and with another loss, of each seed that has both."""
    plain, clipped = by_loss.get(PLAIN, {}), by_loss.get(loss, {})
    return [(plain[seed], clipped[seed]) for seed in sorted({*clipped} & {*plain})]


def gains(by_loss: ByLoss, loss: str) -> list[float]:
    """What clipping gains over cross-entropy in mIoU, of each pair."""
    return [clipped["miou"] - plain["miou"] for plain, clipped in pairs(by_loss, loss)]


def tried(*runs: Runs) -> list[str]:
    """The losses with clipping that have runs to compare."""
    found = [by_loss for own in runs for by_loss in own.values()]
    return [loss for loss in CLIPPED if any(gains(by_loss, loss) for by_loss in found)]


def table(runs: Runs) -> str:
    """Markdown: what each clipping gains over cross-entropy, paired by seed, mean ± deviation."""
    others = tried(runs)
    head = ["labels", "their mIoU", "final loss", PLAIN, *others]
    rows = [head, ["---"] * len(head)]
    for noise in (noise.name for noise in noises() if PLAIN in runs.get(noise.name, {})):
        plain = runs[noise][PLAIN]
        cells = [
            mean_and_deviation([each[key] for each in plain.values()], form)
            for key, form in (("labels", "{:.1f}"), ("final_loss", "{:.2f}"), ("miou", "{:.1f}"))
        ]
        cells[-1] += f" ({len(plain)})"
        for other in others:
            gained = gains(runs[noise], other)
            spread = f"{mean_and_deviation(gained, '{:+.1f}')} ({len(gained)})" if gained else "–"
            cells.append(spread)
        rows.append([noise, *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def draw(picture: Path, runs: Mapping[str, Runs]) -> None:
    """Draws the gains of all images' tables as one map, if there are any."""
    columns = tried(*runs.values())
    rows = {
        f"{data}: {noise.name}" if len(runs) > 1 else noise.name: own[noise.name]
        for data, own in runs.items()
        for noise in noises()
        if PLAIN in own.get(noise.name, {})
    }
    mean = [
        [statistics.mean(gains(by_loss, loss) or [math.nan]) for loss in columns]
        for by_loss in rows.values()
    ]
    if columns:
        draw_map(
            picture, "points of mIoU against cross-entropy (–: not run)", list(rows), columns, mean
        )


def grouped(title: str, bounds: Sequence[float], points: Sequence[tuple[float, float]]) -> str:
    """Markdown: how gains spread, in groups of another number.

    Args:
        title: Of the other number.
        bounds: Of the groups, from above.
        points: The other number and the gain in mIoU, of each run.
    """
    lines = [f"| {title} | runs | median gain | least | most |", "|---|---|---|---|---|"]
    for low, high in pairwise((0.0, *bounds)):
        gained = [gain for value, gain in points if low <= value < high]
        if gained:
            span = f"{low:g} to {high:g}" if high < math.inf else f"{low:g} and more"
            spread = (statistics.median(gained), min(gained), max(gained))
            cells = " | ".join(f"{one:+.1f}" for one in spread)
            lines.append(f"| {span} | {len(gained)} | {cells} |")
    return "\n".join(lines) + "\n" if points else ""


def starts(runs: Runs) -> str:
    """Markdown: gains by what can be seen without masks."""
    by_start, by_share = [], []
    for by_loss in runs.values():
        for loss in CLIPPED:
            start = LOSSES[loss]["start_value"]
            for (plain, clipped), gain in zip(
                pairs(by_loss, loss), gains(by_loss, loss), strict=True
            ):
                by_start.append((start / plain["final_loss"], gain))
                by_share.append((100 * clipped["clipped_objects"], gain))
    return "\n".join(
        (
            grouped("start value / final loss of cross-entropy", STARTS, by_start),
            grouped("`clipped_objects` in %, last epoch", SHARES, by_share),
        )
    )


def tables(runs: Mapping[str, Runs]) -> str:
    """Tables of each set of images that has runs, under its name."""
    return "\n".join(
        f"**{data[:1].upper()}{data[1:]}**\n\n{table(own)}\n{starts(own)}"
        for data, own in runs.items()
        if own
    )
