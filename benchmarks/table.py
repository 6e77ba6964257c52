"""Results as tables: on a terminal of any width from 80 columns, and as Markdown."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from benchmarks.measure import Spread
from benchmarks.results import Results, Row

WIDEST = 110
"""Columns of a terminal beyond which a table only gets harder to read."""
NUMBERS = {"time": 7, "faster": 17, "MiB": 9, "limit": 5}
"""Columns that never wrap, and their widths."""
HEAD = ("setting", "time", "against", *list(NUMBERS)[1:])


def cells(row: Row) -> tuple[str, ...]:
    """A row in words, in the order of `HEAD`."""
    share = row.of_limit
    return (
        row.setting,
        duration(row.seconds.median),
        row.against or "",
        faster(row),
        memory(row),
        "" if share is None else f"{share:.0%}",
    )


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(2.345), duration(0.01234), duration(0.0000123)
    ('2.35 s', '12.3 ms', '12.3 us')
    """
    for factor, unit in ((1, "s"), (1e-3, "ms")):
        if seconds >= factor:
            return f"{_three_digits(seconds / factor)} {unit}"
    return f"{_three_digits(seconds / 1e-6)} us"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def faster(row: Row) -> str:
    """`1.40x 1.31-1.52`: the median ratio and its spread, with `~` where it is not steady."""
    if row.faster is None:
        return ""
    mark = "" if row.steady else "~"
    return f"{mark}{_three_digits(row.faster.median)}x {between(row.faster)}"


def between(spread: Spread) -> str:
    """`1.31-1.52`."""
    return f"{_three_digits(spread.low)}-{_three_digits(spread.high)}"


def memory(row: Row) -> str:
    """`520/910`: ours and the reference's."""
    values = [value for value in (row.mib, row.against_mib) if value is not None]
    return "/".join(f"{value:.0f}" for value in values)


def family_notes(rows: Sequence[Row], notes: Sequence[str]) -> list[str]:
    """What is said under a family's table: its notes, and what each limit is."""
    limits = {}
    for row in rows:
        if row.limit is not None and row.limit_seconds is not None:
            limits[row.setting] = f"{row.limit} ({duration(row.limit_seconds)})"
    kinds = list(dict.fromkeys(limits.values()))
    if len(kinds) == 1:
        return [*notes, f"Limit: {kinds[0]}."]
    listed = "; ".join(f"{setting}: {limit}" for setting, limit in limits.items())
    return [*notes, f"Limits: {listed}."] if limits else list(notes)


def print_family(family: str, rows: Sequence[Row], notes: Sequence[str], console: Console) -> None:
    """Prints one table."""
    width = min(console.width, WIDEST)
    table = Table(title=family, title_justify="left", box=None, width=width, padding=(0, 1, 0, 0))
    for name in HEAD:
        if name in NUMBERS:
            table.add_column(name, justify="right", no_wrap=True, width=NUMBERS[name])
        else:
            table.add_column(name, ratio=3 if name == "setting" else 2)
    for row in rows:
        table.add_row(*cells(row))
    console.print()
    console.print(table)
    for note in family_notes(rows, notes):
        console.print(Padding(note, (0, 0, 0, 2)), width=width, style="dim")


def markdown(results: Results) -> str:
    """The measured part of docs/benchmarks.md."""
    lines = [f"Measured on: {results.machine}.", *(f"{line}." for line in results.rates)]
    for family, rows in results.families().items():
        lines += ["", f"### {family}", "", "| " + " | ".join(HEAD) + " |"]
        lines.append("|" + "---|" * len(HEAD))
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        notes = family_notes(rows, results.notes.get(family, ()))
        if notes:
            lines += ["", " ".join(notes)]
    return "\n".join(lines) + "\n"


def compare(before: Results, now: Results, console: Console) -> None:
    """Prints both days' times and ratios side by side, row by row."""
    width = min(console.width, WIDEST)
    console.print(f"before: {before.machine}", width=width)
    console.print(f"now:    {now.machine}", width=width)
    old = {row.key: row for row in before.rows}
    head = ("setting, against", "before", "now", "faster before", "now", "")
    for family, rows in now.families().items():
        table = Table(title=family, title_justify="left", box=None, width=width)
        for index, name in enumerate(head):
            if index:
                table.add_column(
                    name, justify="right", no_wrap=True, width=(0, 7, 7, 14, 14, 5)[index]
                )
            else:
                table.add_column(name, ratio=1)
        for row in rows:
            then = old.pop(row.key, None)
            table.add_row(*_compared(then, row))
        console.print()
        console.print(table)
    for row in old.values():
        name = f"{row.family}, {row.setting}"
        console.print(f"no longer measured: {name}", width=width, style="dim")


def _compared(before: Row | None, now: Row) -> tuple[str, ...]:
    name = f"{now.setting}, {now.against}" if now.against else now.setting
    if before is None:
        return name, "", duration(now.seconds.median), "", _ratio(now), "new"
    times = duration(before.seconds.median), duration(now.seconds.median)
    return name, *times, _ratio(before), _ratio(now), _change(before, now)


def _ratio(row: Row) -> str:
    if row.faster is None:
        return ""
    return f"{_three_digits(row.faster.median)} {between(row.faster)}"


def _change(before: Row, now: Row) -> str:
    """`+` or `-` where the spreads of the ratios do not touch."""
    if before.faster is None or now.faster is None:
        return ""
    if now.faster.low > before.faster.high:
        return "+"
    return "-" if now.faster.high < before.faster.low else ""
