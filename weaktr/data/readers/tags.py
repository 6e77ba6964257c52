"""Tags as people write them, and tables of them."""

import csv
import difflib
import io
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from weaktr.data.readers.listing import Problem
from weaktr.errors import UserError

_SEPARATORS = re.compile(r"[;,|]")
_COLUMNS = ("image", "tags", "split", "mask")


@dataclass(frozen=True, slots=True)
class TagRow:
    """One row of a tags table; a column that the table lacks is `None`."""

    line: int
    image: str
    tags: tuple[str, ...] | None
    split: str | None
    mask: str | None


def parse_tags(text: str) -> tuple[str, ...]:
    """Tags of one image: separated by `;`, `,` or `|`, spaces around them and repeats dropped.

    >>> parse_tags("dog; cat ;dog")
    ('dog', 'cat')
    """
    names = (name.strip() for name in _SEPARATORS.split(text))
    return tuple(dict.fromkeys(name for name in names if name))


def in_class_order(tags: Iterable[str], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The tags that are classes, in class-list order."""
    present = set(tags)
    return tuple(name for name in classes if name in present)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no known name is close.

    >>> did_you_mean("Catt", ("cat", "dog"))
    " (did you mean 'cat'?)"
    >>> did_you_mean("horse", ("cat", "dog"))
    ''
    """
    lowered = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f" (did you mean {lowered[close[0]]!r}?)" if close else ""


def read_tag_table(path: str | Path, problems: list[Problem]) -> list[TagRow]:
    """Reads a table with the columns `image` and, optionally, `tags`, `split` and `mask`.

    Columns may stand in any order, beside others, in any case; the delimiter is a comma, a
    semicolon, or a tab, whichever the header uses.

    Args:
        path: CSV file in UTF-8.
        problems: Rows that cannot be used are noted here and left out.

    Raises:
        UserError: If the file as a whole cannot be used.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist; write one row per image with the columns image,tags."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from None
    lines = text.splitlines()
    if not lines:
        raise UserError(f"{path} is empty; write one row per image with the columns image,tags.")
    delimiter = max(",;\t", key=lines[0].count)
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    found = []
    try:
        header = [name.strip().lower() for name in next(rows)]
        column = {name: header.index(name) for name in _COLUMNS if name in header}
        if "image" not in column:
            raise UserError(
                f"{path} has no column `image`; its first line must name the columns, such as "
                f"image,tags,split. Got: {lines[0][:80]!r}."
            )
        repeated = [name for name in column if header.count(name) > 1]
        if repeated:
            raise UserError(f"{path} has two columns called `{repeated[0]}`; remove one.")
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                problems.append(_wrong_width(path, rows.line_num, row, header))
                continue
            cell = {name: row[index].strip() for name, index in column.items()}
            if not cell["image"]:
                problems.append(
                    Problem(
                        "error",
                        "table-row",
                        f"{path} line {rows.line_num} names no image; fill it in or remove it.",
                    )
                )
                continue
            tags = parse_tags(cell["tags"]) if "tags" in cell else None
            found.append(
                TagRow(rows.line_num, cell["image"], tags, cell.get("split"), cell.get("mask"))
            )
    except csv.Error as error:
        raise UserError(
            f"{path} line {rows.line_num} is not valid CSV ({error}); mend the quotes."
        ) from None
    return found


def _wrong_width(path: Path, line: int, row: list[str], header: list[str]) -> Problem:
    return Problem(
        "error",
        "table-row",
        f"{path} line {line} has {len(row)} values for {len(header)} columns; put ; between "
        "tags, or quotes around values with a delimiter in them.",
    )
