"""Measured tables and maps in the pages of `docs/`."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from weaktr.files import replace_file, write_text


def put_table(page: Path, name: str, text: str) -> None:
    """Writes a table in place of what stands between `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        ValueError: If the page has no such marks.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, has_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        raise ValueError(f"{page} must hold {begin.strip()} and {end.strip()}.")
    write_text(page, before + begin + text + end + after)


def mean_and_deviation(values: Sequence[float], form: str = "{:.1f}") -> str:
    """`61.2 ± 0.8`: mean and sample standard deviation; of one value itself.

    Args:
        values: One per seed, at least one.
        form: Of the mean, a format that ends in digits and `f`; the deviation has as many digits.
    """
    mean = form.format(statistics.mean(values))
    if not values[1:]:
        return mean
    digits = form.rpartition(".")[2].removesuffix("f}")
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def draw_map(
    picture: Path,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    gains: Sequence[Sequence[float]],
) -> None:
    """Draws gains in points as a heat map, losses red and gains blue.

    Args:
        picture: Its PNG file.
        title: What the points are against.
        rows: Their names.
        columns: Their names.
        gains: Of each row and column; NaN where there is none.
    """
    figure = Figure(figsize=(9, 0.5 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    reach = max(abs(value) for row in gains for value in row if math.isfinite(value))
    axes.imshow(gains, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto")
    axes.set_xticks(range(len(columns)), [name.replace(", ", ",\n") for name in columns])
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    for y, row in enumerate(gains):
        for x, value in enumerate(row):
            ink = "white" if abs(value) > 0.6 * reach else "black"
            text = f"{value:+.1f}" if math.isfinite(value) else "–"
            axes.text(x, y, text, ha="center", va="center", color=ink)
    axes.set_title(title, fontsize=10)
    with replace_file(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
