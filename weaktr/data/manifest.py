"""The manifest: what every stage after `prepare` knows about the images.

A manifest is two text files in one folder: `classes.txt` (one class name per line) and
`manifest.csv` (one row per image). Masks are listed apart, in `masks.csv`, on purpose: training
reads the manifest only, so that no mask can influence it, and a changed mask reruns nothing but the
measurements.
"""

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weaktr.data.class_words import composed, refuse_no_classes, without_background
from weaktr.errors import UserError
from weaktr.files import replace_file

CLASSES_FILE = "classes.txt"
MANIFEST_FILE = "manifest.csv"
MASKS_FILE = "masks.csv"

TAG_SEPARATOR = ";"
MAX_CLASSES = 254
"""Mask ids are one byte: 0 is background and 255 is void."""

_MANIFEST_COLUMNS = ("id", "image", "split", "tags", "width", "height", "digest")
_MASK_COLUMNS = ("id", "mask", "digest")


@dataclass(frozen=True, slots=True)
class Record:
    """One image.

    Attributes:
        id: Unique name, safe as a file name (no slash): results are called `<id>.png`.
        image: Path of the image file, with forward slashes, relative to the working directory
            unless the data set's root was given as an absolute path.
        split: `train`, `val` or `test`.
        tags: Names of the classes in the image, in class-list order.
        width: Width in pixels as shown, that is after EXIF orientation.
        height: Height in pixels as shown.
        digest: Hex blake2b (128 bits) of the image file's bytes.
    """

    id: str
    image: str
    split: str
    tags: tuple[str, ...]
    width: int
    height: int
    digest: str


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """The mask of one image: ids 0 (background), 1..C (classes in list order), 255 (void)."""

    id: str
    mask: str
    digest: str


@dataclass(frozen=True)
class Manifest:
    """Class list and records, in a fixed order."""

    classes: tuple[str, ...]
    records: tuple[Record, ...]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def of_split(self, name: str) -> "Manifest":
        """The records of one split; may be empty."""
        return Manifest(self.classes, tuple(r for r in self.records if r.split == name))

    def require_split(self, name: str) -> "Manifest":
        """The records of one split.

        Raises:
            UserError: If there are none.
        """
        part = self.of_split(name)
        if not part.records:
            present = ", ".join(sorted({record.split for record in self.records})) or "none"
            raise UserError(f"the manifest has no images in split {name!r}; it has: {present}.")
        return part

    def targets(self) -> npt.NDArray[np.float32]:
        """Multi-hot image-level labels `[N, C]`, float32 in {0, 1}."""
        column = {name: c for c, name in enumerate(self.classes)}
        targets = np.zeros((len(self.records), len(self.classes)), np.float32)
        for row, record in enumerate(self.records):
            targets[row, [column[tag] for tag in record.tags]] = 1
        return targets

    def save(self, folder: str | Path) -> None:
        """Writes `classes.txt` and `manifest.csv`; equal manifests give equal bytes."""
        folder = Path(folder)
        with replace_file(folder / CLASSES_FILE) as temporary:
            temporary.write_text("".join(f"{name}\n" for name in self.classes), "utf-8", newline="")
        _write_rows(
            folder / MANIFEST_FILE,
            _MANIFEST_COLUMNS,
            (
                (r.id, r.image, r.split, TAG_SEPARATOR.join(r.tags), r.width, r.height, r.digest)
                for r in self.records
            ),
        )

    @classmethod
    def load(cls, folder: str | Path) -> "Manifest":
        """Reads what `save` wrote.

        Raises:
            UserError: If a file is missing, is not what `save` writes, or names an unknown class.
        """
        folder = Path(folder)
        classes = read_classes(folder / CLASSES_FILE)
        # Interned through this table: 100,000 records share a few hundred tag tuples.
        tag_tuples: dict[str, tuple[str, ...]] = {}
        path = folder / MANIFEST_FILE
        records = []
        for line, row in enumerate(_read_rows(path, _MANIFEST_COLUMNS), start=2):
            id_, image, split, tags, width, height, digest = row
            if tags not in tag_tuples:
                tag_tuples[tags] = tuple(tags.split(TAG_SEPARATOR)) if tags else ()
                unknown = set(tag_tuples[tags]) - set(classes)
                if unknown:
                    raise UserError(
                        f"{path} line {line} has a tag that is not in {CLASSES_FILE}; "
                        f"rerun `prepare`. Got: {min(unknown)!r}."
                    )
            if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
                raise UserError(
                    f"{path} line {line} has a size that is not a number; rerun `prepare`. "
                    f"Got: {width!r} x {height!r}."
                )
            records.append(
                Record(id_, image, split, tag_tuples[tags], int(width), int(height), digest)
            )
        return cls(classes, tuple(records))


def save_masks(folder: str | Path, masks: Mapping[str, MaskRecord]) -> None:
    """Writes `masks.csv`, sorted by id (header only where there are no masks)."""
    _write_rows(
        Path(folder) / MASKS_FILE,
        _MASK_COLUMNS,
        ((m.id, m.mask, m.digest) for _, m in sorted(masks.items())),
    )


def load_masks(folder: str | Path) -> dict[str, str]:
    """Image id -> path of its mask, from `masks.csv`; images without a mask are not in it.

    Raises:
        UserError: If the file is missing or is not what `save_masks` writes.
    """
    return load_label_maps(Path(folder) / MASKS_FILE)


def load_label_maps(source: str | Path) -> dict[str, str]:
    """Image id -> path of its label map.

    Args:
        source: A folder of `<image id>.png`, or a list such as `masks.csv`.

    Raises:
        UserError: If there are no PNG files, or the list is missing or no such list.
    """
    source = Path(source)
    if source.suffix == ".csv":
        return {id_: mask for id_, mask, _ in _read_rows(source, _MASK_COLUMNS)}
    maps = {path.stem: path.as_posix() for path in sorted(source.glob("*.png"))}
    if not maps:
        raise UserError(
            f"{source} has no label maps; run the export_labels stage, or, for label maps of your "
            "own (<image id>.png), check decoder.labels_from."
        )
    return maps


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Class names from a text file, one per line; blank lines are skipped.

    Raises:
        UserError: If the file is missing or its names make no class list (`check_classes`).
    """
    return check_classes(_lines(path), where=str(path))


def read_class_list(path: str | Path) -> tuple[tuple[str, ...], str | None]:
    """A class list as people and their tools write it: background may stand in front.

    Names come in Unicode's composed form, as tags do.

    Returns:
        The names, in the order of mask ids from 1; and what there is to say about the list.

    Raises:
        UserError: As `read_classes`, or if names that are no class stand where ids would shift.
    """
    names, note = without_background(map(composed, _lines(path)), str(path))
    return check_classes(refuse_no_classes(names, str(path)), where=str(path)), note


def _lines(path: str | Path) -> tuple[str, ...]:
    """The lines of a text file that are not blank, without outer spaces."""
    try:
        lines = Path(path).read_text("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run `prepare` or check the path.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    return tuple(line.strip() for line in lines if line.strip())


def check_classes(names: Iterator[str] | tuple[str, ...], *, where: str) -> tuple[str, ...]:
    """The names as a class list.

    Args:
        names: Class names in the order of mask ids.
        where: Where the list comes from, for the message.

    Raises:
        UserError: If there are none, too many, one twice, or one that could not be written in a
            list of tags.
    """
    classes = tuple(names)
    if not classes:
        raise UserError(f"{where} gives no classes; at least one is needed.")
    if len(classes) > MAX_CLASSES:
        raise UserError(
            f"{where} gives too many classes for one-byte masks; at most {MAX_CLASSES} are "
            f"possible. Got: {len(classes)}."
        )
    seen = set()
    for name in classes:
        if name in seen:
            raise UserError(f"{where} names a class twice; remove one. Got: {name!r}.")
        if name == "background":
            raise UserError(
                f"{where} names `background` as a class; remove it, id 0 is always background."
            )
        if not name or name != name.strip() or not name.isprintable() or set(name) & set(";,|"):
            raise UserError(
                f"{where} has a class name that cannot stand in a list of tags; use printable "
                f"text without ; , | and outer spaces. Got: {name!r}."
            )
        seen.add(name)
    return classes


def _write_rows(path: Path, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    with (
        replace_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _refuse_cut(path: Path) -> None:
    """Refuses a table that ends within a line."""
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        if stream.read() != b"\n":
            raise UserError(
                f"{path} ends within a line, as if it had been cut; rerun `prepare`, or complete "
                "its last line."
            )


def _read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            if tuple(next(reader, ())) != columns:
                raise UserError(
                    f"{path} does not start with the columns {','.join(columns)}; rerun `prepare`."
                )
            _refuse_cut(path)
            for row in reader:
                if len(row) != len(columns):
                    raise UserError(
                        f"{path} line {reader.line_num} has {len(row)} of {len(columns)} columns; "
                        "rerun `prepare`."
                    )
                yield row
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run `prepare` or check the path.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8 ({error}); rerun `prepare`.") from None
