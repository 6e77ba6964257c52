"""Tags as people write them, and tables of them."""

import csv
import difflib
import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from weaktr.data.class_words import composed, within_another
from weaktr.data.readers.listing import Problem, Severity
from weaktr.errors import UserError

_SEPARATORS = re.compile(r"[;,|]")
_COLUMNS = ("image", "tags", "split", "mask")
_ALIKE = {
    "tags": ("tag", "label", "labels", "class", "classes", "category", "categories"),
    "split": ("splits", "set", "subset", "fold", "partition"),
    "mask": ("masks", "mask_path", "mask_file", "mask_file_name", "segmentation"),
}
"""Names that people give to the columns."""
_LIST = re.compile(r"(?:set\(\)|[\[({](.*)[\])}])", re.DOTALL)
_QUOTED = re.compile(r"""(?:'([^']*)'|"([^"]*)")\s*(?:,|$)?\s*""")


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

    Names are in Unicode's composed form.

    >>> parse_tags("dog; cat ;dog")
    ('dog', 'cat')
    """
    names = (name.strip() for name in _SEPARATORS.split(composed(text)))
    return tuple(dict.fromkeys(name for name in names if name))


def tags_of_cell(text: str) -> tuple[str, ...]:
    """Tags in a cell of a table, which may be a list as Python, pandas, NumPy or JSON print it.

    Raises:
        UserError: If it has the brackets of a list and is none.

    >>> tags_of_cell("['cat', 'dog']"), tags_of_cell("cat; dog"), tags_of_cell("[]")
    (('cat', 'dog'), ('cat', 'dog'), ())
    """
    printed = _LIST.fullmatch(text.strip())
    inner = (printed[1] or "").strip() if printed else ""
    if not printed or (text.strip()[0] == "(" and inner[:1] not in ("'", '"', "")):
        return parse_tags(text)
    names, rest = [], inner
    while rest and (name := _QUOTED.match(rest)):
        names.append(name[1] if name[1] is not None else name[2])
        rest = rest[name.end() :]
    if rest or any(_SEPARATORS.search(name) for name in names):
        raise UserError(
            "has tags in brackets that are no printed list; write tags with ; between them. Got: "
            f"{text[:80]!r}."
        )
    return tuple(tag for name in names for tag in parse_tags(name))


def in_class_order(tags: Iterable[str], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The tags that are classes, in class-list order."""
    present = set(tags)
    return tuple(name for name in classes if name in present)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no known name is close.

    >>> did_you_mean("Catt", ("cat", "dog"))
    " (did you mean 'cat'?)"
    >>> did_you_mean("black cat", ("cat", "dog"))
    " (did you mean 'cat'?)"
    >>> did_you_mean("horse", ("cat", "dog"))
    ''
    """
    lowered = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    meant = lowered[close[0]] if close else within_another(name, known)
    return f" (did you mean {meant!r}?)" if meant else ""


def read_tag_table(path: str | Path, problems: list[Problem]) -> list[TagRow]:
    """Reads a table with the columns `image` and, optionally, `tags`, `split` and `mask`.

    Columns may stand in any order, beside others, in any case; the delimiter is a comma, a
    semicolon, or a tab, whichever the header uses. A delimiter at the end of the header, or of
    every row, does not count.

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
        problems += _unread_columns(path, header)
        filled = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
        fewest, most = _widths(header, [row for _, row in filled])
        for line, row in filled:
            if not fewest <= len(row) <= most:
                problems.append(_wrong_width(path, line, row, header))
                continue
            cell = {name: row[index].strip() for name, index in column.items()}
            if not cell["image"]:
                problems.append(
                    Problem(
                        "error",
                        "table-row",
                        f"{path} line {line} names no image; fill it in or remove it.",
                    )
                )
                continue
            try:
                tags = tags_of_cell(cell["tags"]) if "tags" in cell else None
            except UserError as error:
                problems.append(Problem("error", "table-row", f"{path} line {line} {error}"))
                continue
            found.append(TagRow(line, cell["image"], tags, cell.get("split"), cell.get("mask")))
    except csv.Error as error:
        raise UserError(
            f"{path} line {rows.line_num} is not valid CSV ({error}); mend the quotes."
        ) from None
    problems += _stray_tags(path, header, filled, found)
    return found


def _unread_columns(path: Path, header: Sequence[str]) -> list[Problem]:
    """Columns that are called nearly like those that are read."""
    alike = {name: column for column, names in _ALIKE.items() for name in names}
    return [
        Problem(
            "warning",
            "unread-column",
            f"{path} has the column `{name}`, which is not read; call it `{alike[name]}` if that "
            "is what it holds.",
        )
        for name in header
        if name in alike and alike[name] not in header
    ]


def _stray_tags(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]], found: list[TagRow]
) -> list[Problem]:
    """Tags in columns that are not read, of rows that lack them.

    In the columns right after `tags` they are what a delimiter between tags makes of them, and an
    error; elsewhere a warning.
    """
    unread = [i for i, name in enumerate(header) if name not in _COLUMNS]
    known = {tag.casefold() for row in found for tag in row.tags or ()}
    own = {row.line: {tag.casefold() for tag in row.tags or ()} for row in found}
    beside: dict[int, list[tuple[int, str]]] = {}
    elsewhere: dict[int, list[tuple[int, str]]] = {}
    for line, row in rows:
        for index in unread:
            tags = {tag.casefold() for tag in parse_tags(row[index])} if index < len(row) else set()
            if line not in own or not tags or not tags <= known - own[line]:
                continue
            between = range(header.index("tags") + 1, index)
            is_beside = index > header.index("tags") and all(
                i in unread and row[i].strip() for i in between
            )
            (beside if is_beside else elsewhere).setdefault(index, []).append((line, row[index]))
    problems = []
    sorts: list[tuple[Severity, dict[int, list[tuple[int, str]]]]]
    sorts = [("error", beside), ("warning", elsewhere)]
    for severity, stray in sorts:
        for index, cells in stray.items():
            line, text = cells[0]
            more = f" ({len(cells)} such lines)" if cells[1:] else ""
            problems.append(
                Problem(
                    severity,
                    "stray-tag",
                    f"{path} line {line} has a tag of other rows in the column `{header[index]}`, "
                    f"which is not read{more}; put ; between tags, or quotes around them, or, if "
                    "it is no tag of the image, move the column before `tags`. Got: "
                    f"{text.strip()!r}.",
                    len(cells),
                )
            )
    return problems


def _widths(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """The fewest and the most values that a row may have."""
    named = max(index for index, name in enumerate(header, start=1) if name)
    widths = {len(row) for row in rows}
    # More than the header has: only where no value can have moved, so that all rows end alike and
    # what stands in the last column is looked up.
    if (
        len(widths) == 1
        and header[-1] in _COLUMNS
        and all(not value.strip() for row in rows for value in row[len(header) :])
    ):
        return named, max(len(header), *widths)
    return named, len(header)


def _wrong_width(path: Path, line: int, row: list[str], header: list[str]) -> Problem:
    text = f"{path} line {line} has {len(row)} values for {len(header)} columns; "
    if len(row) < len(header):
        missing = ", ".join(f"`{name}`" for name in header[len(row) :])
        text += (
            f"if it ends before {missing}, as spreadsheets cut rows short, add the delimiters, "
            "else the value that is missing."
        )
    else:
        text += "put ; between tags, or quotes around values with a delimiter in them."
    return Problem("error", "table-row", text)
