"""Tags that are known of images to be segmented: only their classes may be found."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath

from weaktr.data.readers.find_files import without_suffix
from weaktr.data.readers.listing import Problem
from weaktr.data.readers.tags import did_you_mean, parse_tags, read_tag_table
from weaktr.errors import UserError


def read_known_tags(
    text: str, images: Sequence[Path], classes: Sequence[str]
) -> tuple[list[tuple[int, ...] | None], list[str]]:
    """Classes that each image may contain.

    Args:
        text: Tags for all images (`cat, dog`), or a CSV file with the columns `image` and `tags`.
            A row is that of every image whose path ends in it, with or without suffix; the longest
            one counts.
        images: The images.
        classes: Class names of the model.

    Returns:
        For each image its classes, 0-based, or `None` where nothing is known; and what there is to
        say about the table, one sentence each.

    Raises:
        UserError: If a tag of the list is no class, or the table cannot be used.
    """
    is_file = os.path.isfile(text)  # noqa: PTH113 (a list of tags may be too long for a path)
    if not (is_file or text.lower().endswith((".csv", ".tsv"))):
        return [parse_class_tags(text, classes)] * len(images), []
    return _from_table(text, images, classes)


def parse_class_tags(
    text: str, classes: Sequence[str], *, given_as: str = "--tags"
) -> tuple[int, ...]:
    """`cat, dog` as classes, 0-based and ascending.

    Raises:
        UserError: If there is no tag, or one is no class.
    """
    tags = parse_tags(text)
    if not tags:
        raise UserError(f"{given_as} names no class; the model knows {', '.join(classes)}.")
    for tag in tags:
        if tag not in classes:
            raise UserError(
                f"{given_as}: {tag!r} is no class of the model{did_you_mean(tag, classes)}; it "
                f"knows {', '.join(classes)}."
            )
    return tuple(sorted(classes.index(tag) for tag in tags))


def _from_table(
    table: str, images: Sequence[Path], classes: Sequence[str]
) -> tuple[list[tuple[int, ...] | None], list[str]]:
    column = {name: c for c, name in enumerate(classes)}
    rows = {}
    unknown: dict[str, None] = {}
    problems: list[Problem] = []
    for row in read_tag_table(table, problems):
        if row.tags is None:
            raise UserError(f"{table} has no column `tags`; add one with the tags of each image.")
        unknown |= {tag: None for tag in row.tags if tag not in column}
        found = tuple(sorted(column[tag] for tag in row.tags if tag in column))
        name = _key(row.image.replace("\\", "/"))
        if name in rows:
            problems.append(
                Problem(
                    "warning",
                    "duplicate-id",
                    f"{table} line {row.line} names an image a second time; it counts, the row "
                    f"before does not. Got: {row.image!r}.",
                )
            )
        rows[name] = found
    notes = [problem.message for problem in problems]
    if unknown:
        names = ", ".join(f"{tag!r}{did_you_mean(tag, classes)}" for tag in list(unknown)[:5])
        notes.append(f"{table} has tags that are no classes of the model: {names}.")
    known = [_row_of(image, rows) for image in images]
    without = [image for image, tags in zip(images, known, strict=True) if tags is None]
    if images and len(without) == len(images):
        raise UserError(
            f"{table} has no row for any of the images; its column `image` must hold their names. "
            f"Got: {next(iter(rows), 'no rows')!r}, but no {without[0].name!r}"
        )
    if without:
        notes.append(
            f"{table} has no row for {len(without)} of {len(images)} images, such as {without[0]}; "
            "any class may be found there."
        )
    return known, notes


def _row_of(image: Path, rows: dict[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """The row whose name is the longest end of the image's path."""
    parts = PurePath(image.absolute()).parts
    for start in range(len(parts)):
        name = "/".join(parts[start:]).replace("//", "/")
        for key in (_key(name), _key(without_suffix(name))):
            if key in rows:
                return rows[key]
    return None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).removeprefix("./")
