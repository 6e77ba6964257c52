"""Hugging Face's image folder: `metadata.jsonl` beside the images, in the root or in each split."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaktr.config.dataset import DatasetParams
from weaktr.data.class_words import composed, refuse_no_classes
from weaktr.data.manifest import check_classes, read_class_list
from weaktr.data.readers.class_choice import add_tagged, empty_listing
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.find_files import FileFinder, existing_folder, flat_ids, say_passed_over
from weaktr.data.readers.folder import hold_out
from weaktr.data.readers.json_file import parse_json
from weaktr.data.readers.listing import Entry, Listing, Problem, StoredMask
from weaktr.data.readers.splits import split_named
from weaktr.data.readers.tags import tags_of_cell
from weaktr.data.readers.tool_export import CLASSES
from weaktr.errors import UserError

METADATA = "metadata.jsonl"
TAG_COLUMNS = ("tags", "labels", "label", "classes", "categories")
"""Columns that may hold the tags."""
_MASK_COLUMNS = ("mask_file_name", "mask")


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a metadata file."""

    name: str
    file: str
    split: str | None
    tags: tuple[str, ...]
    mask: str | None


def read_imagefolder(params: DatasetParams) -> Listing:
    """Lists an image folder with metadata.

    A line has `file_name`, below the folder of its metadata file, the tags in one of the columns
    `tags`, `labels`, `label`, `classes` or `categories` (a list of names, or text with separators),
    and maybe `mask_file_name`, a mask with ids in class-list order, and `split`. Folders of
    metadata files that are called like splits are the splits.

    Classes are those of `classes.txt` in the root, else all tags in alphabetical order.

    Args:
        params: `root` is the folder.

    Raises:
        UserError: If there is no metadata file, or one is no JSON Lines file with these columns.
    """
    root = existing_folder(params.root)
    if params.tags_from not in ("auto", "table"):
        raise UserError(
            f"dataset.tags_from: {params.tags_from} is not for imagefolder, whose tags are in "
            f"{METADATA}; set auto."
        )
    finder = FileFinder(root)
    named = ((params.train_split, "train"), (params.val_split, "val"), ("test", "test"))
    splits = {name: split for name, split in named if name}
    problems: list[Problem] = []
    files = sorted(root.glob(METADATA)) + sorted(root.glob(f"*/{METADATA}"))
    if not files:
        raise UserError(
            f"{root} has no {METADATA}, neither in itself nor in its folders; write one, with a "
            'line such as {"file_name": "1.jpg", "tags": ["cat"]} for each image.'
        )
    rows = [row for path in files for row in _rows(path, finder, splits, problems)]
    rows = list(_each_once(rows, problems))
    if not any(row.tags for row in rows):
        if problems:
            return Listing((), [], {}, problems=problems)
        raise UserError(f"{files[0]} gives no image a tag; fill in its column of tags.")
    known, note = _known_classes(root, rows)
    listing = empty_listing(params, known, str(root))
    listing.problems += problems
    listing.notes += [note] if note else []
    say_passed_over(listing, finder)
    _say_unlisted(listing, finder, rows)
    ids = flat_ids(row.file for row in rows)
    entries = [
        Entry(
            ids[row.file],
            finder.path(row.file),
            row.split or "",
            (),
            StoredMask(finder.path(row.mask)) if row.mask else None,
        )
        for row in rows
    ]
    tags = {ids[row.file]: row.tags for row in rows}
    without = [row.name for row in rows if row.split is None]
    if len(without) == len(rows):
        entries = hold_out(entries, tags, params.val_share)
        listing.notes.append(
            f"No split is given: {params.val_share:.0%} of the images were held out for "
            "validation by a digest of their ids."
        )
    elif without:
        listing.error(
            "unknown-split",
            f"{without[0]} has no split, but others have; fill it in, or move the image into the "
            "folder of a split.",
        )
        entries = [entry for entry in entries if entry.split]
    add_tagged(listing, entries, tags, known, METADATA)
    where = ", ".join(path.relative_to(root).as_posix() for path in files)
    listing.notes.append(f"Tags come from {where}.")
    return listing


def _rows(
    path: Path, finder: FileFinder, splits: Mapping[str, str], problems: list[Problem]
) -> Iterator[_Row]:
    """The lines of a file; what cannot be used is noted as a problem."""
    folder = path.parent.relative_to(finder.root).as_posix()
    split_of_folder = None
    below = ""
    if folder != ".":
        below = f"{folder}/"
        split_of_folder = split_named(folder, splits)
    lines = list(_lines(path))
    tag_column = _tag_column(path, [line for _, line in lines])
    for number, line in lines:
        name = f"{path} line {number}"
        try:
            tags = _tags(line.get(tag_column))
            given = line.get("split")
            split = split_of_folder
            if given is not None:
                split = split_named(str(given), splits)
                if split is None or split_of_folder not in (None, split):
                    raise UserError(f"has a split that does not fit: {given!r}")
            file = _file(finder, below, line.get("file_name"), "file_name")
            masks = [line[column] for column in _MASK_COLUMNS if line.get(column)]
            mask = _file(finder, below, masks[0], "mask") if masks else None
        except UserError as error:
            problems.append(
                Problem("error", "metadata-row", f"{name} {str(error).removesuffix('.')}.")
            )
            continue
        yield _Row(name, file, split, tags, mask)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        content = parse_json(line, f"{path} line {number}", "each line must be one object")
        if not isinstance(content, dict):
            raise UserError(f"{path} line {number} is no object in braces; mend it.")
        yield number, content


def _tag_column(path: Path, lines: list[dict[str, Any]]) -> str:
    present = [column for column in TAG_COLUMNS if any(column in line for line in lines)]
    if len(present) != 1:
        has = ", ".join(present) or "none"
        raise UserError(
            f"{path} must have one column of tags, called {', '.join(TAG_COLUMNS[:-1])} or "
            f"{TAG_COLUMNS[-1]}; rename or remove some. Got: {has}."
        )
    return present[0]


def _tags(value: Any) -> tuple[str, ...]:
    """Tags of a cell: names in a list, or in a text."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tags_of_cell(value)
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise UserError(f"has tags that are no names, write names instead: {value!r:.80}")
    return tuple(dict.fromkeys(composed(name.strip()) for name in names))


def _file(finder: FileFinder, below: str, name: Any, column: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"has no {column}")
    file = finder.find(name, (below,))
    if file is None:
        raise UserError(
            f"names a file that is not there or no image, add it or remove the line: {below}{name}"
        )
    return file


def _each_once(rows: list[_Row], problems: list[Problem]) -> Iterator[_Row]:
    first: dict[str, _Row] = {}
    for row in rows:
        other = first.setdefault(row.file, row)
        if other is row:
            yield row
        else:
            problems.append(
                Problem(
                    "error",
                    "duplicate-id",
                    f"{row.name} names an image a second time, after {other.name}; merge the "
                    f"lines. Got: {row.file!r}.",
                )
            )


def _known_classes(root: Path, rows: list[_Row]) -> tuple[tuple[str, ...], str | None]:
    path = root / CLASSES
    if path.exists():
        return read_class_list(path)
    names = sorted({tag for row in rows for tag in row.tags})
    known = check_classes(refuse_no_classes(names, str(root)), where=str(root))
    legend = ", ".join(f"{index} {name}" for index, name in enumerate(known, start=1))
    note = f"There is no {CLASSES}: masks are taken to hold these ids: {legend}."
    return known, note if any(row.mask for row in rows) else None


def _say_unlisted(listing: Listing, finder: FileFinder, rows: list[_Row]) -> None:
    used = {row.file for row in rows} | {row.mask for row in rows}
    unlisted = [file for file in finder.files if file not in used]
    if unlisted:
        listing.warn(
            "unlisted-image",
            f"{finder.root} has images that no line of {METADATA} names, which stay out: "
            f"{len(unlisted)} ({some(unlisted)}).",
        )
