"""Pieces of HTML that sections of the report are made of."""

import html
import math
import re
from collections.abc import Sequence

import numpy as np


def table_of(
    caption: str,
    header: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    numbers: set[int] | None = None,
) -> str:
    """A table in a box of its own that scrolls.

    Args:
        caption: What it is.
        header: Names of the columns, as text.
        rows: HTML of the first cell, which names the row, and of the others.
        numbers: Columns that hold numbers.
    """

    def kind(column: int) -> str:
        return ' class="number"' if numbers and column in numbers else ""

    head = "".join(
        f'<th scope="col"{kind(i)}>{plain(cell)}</th>' if cell else "<td></td>"
        for i, cell in enumerate(header)
    )
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind(i)}>{cell}</td>" for i, cell in enumerate(rest, start=1))
        + "</tr>"
        for first, rest in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{html.escape(caption)}" tabindex="0">'
        f"<table><caption>{plain(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def heat_of(
    caption: str,
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    strength: np.ndarray,
) -> str:
    """A table whose cells are the more coloured the larger their strength, from 0 to 1."""
    head = "".join(f'<th scope="col">{plain(name)}</th>' for name in columns)
    body = "\n".join(
        f'<tr><th scope="row">{plain(name)}</th>'
        + "".join(
            f'<td style="--v:{value:.2f}">{plain(cell)}</td>'
            for cell, value in zip(line, values, strict=True)
        )
        + "</tr>"
        for name, line, values in zip(rows, cells, strength.tolist(), strict=True)
    )
    return (
        f'<div class="scroll" role="region" aria-label="{html.escape(caption)}" tabindex="0">'
        f'<table class="heat"><caption>{plain(caption)}</caption><thead><tr>'
        f'<th scope="col">{plain(corner)}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def plain(value: str) -> str:
    """Text as it is."""
    return html.escape(value)


def rich(value: str) -> str:
    """Text in which backticks mark code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(value))


def number(value: float, form: str = ".1f") -> str:
    """A number; a dash for NaN."""
    return "–" if math.isnan(value) else format(value, form)
