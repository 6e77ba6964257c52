"""What was found in each image, as a table that streams to disk."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from weaktr.files import replace_file
from weaktr.labels import VOC_PALETTE


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image.

    Args:
        image: Its path.
        mask: Path of its mask below the folder of the table.
        width: In pixels.
        height: In pixels.
        shares: Share of the area of each label, background first.
        confidence: Probability of the labels, mean over pixels.
        confidences: Class -> the same over the pixels of that class; those that are in the image.
    """

    image: str
    mask: str
    width: int
    height: int
    shares: tuple[float, ...]
    confidence: float
    confidences: Mapping[str, float]


class PredictionTable:
    """Takes rows in any order and writes them in the order of the images.

    Args:
        file: Open for writing.
        classes: Names without background.
    """

    def __init__(self, file: TextIO, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.rows = csv.writer(file, lineterminator="\n")
        self.early: dict[int, Row | None] = {}
        self.next = 0
        shares = (f"share_{name}" for name in ("background", *classes))
        sure = (f"confidence_{name}" for name in self.classes)
        self.rows.writerow(
            ("image", "mask", "width", "height", "classes", "confidence", *shares, *sure)
        )

    def add(self, index: int, row: Row | None) -> None:
        """Takes the row of an image (`None`: it has none), and writes all whose turn it is."""
        self.early[index] = row
        while self.next in self.early:
            ready = self.early.pop(self.next)
            if ready is not None:
                self.rows.writerow(self._cells(ready))
            self.next += 1

    def _cells(self, row: Row) -> tuple[Any, ...]:
        found = ";".join(c for c, share in zip(self.classes, row.shares[1:], strict=True) if share)
        shares = (f"{share:.4f}" for share in row.shares)
        sure = (f"{row.confidences[c]:.4f}" if c in row.confidences else "" for c in self.classes)
        return (
            row.image,
            row.mask,
            row.width,
            row.height,
            found,
            f"{row.confidence:.4f}",
            *shares,
            *sure,
        )


@contextmanager
def prediction_table(path: Path, classes: Sequence[str]) -> Iterator[PredictionTable]:
    """Begins a table; the file appears when the block succeeds."""
    with replace_file(path) as temporary, _text_file(temporary) as file:
        yield PredictionTable(file, classes)


def write_classes(path: Path, classes: Sequence[str]) -> None:
    """Writes the table of ids in masks: id, class, colour in the palette."""
    with replace_file(path) as temporary, _text_file(temporary) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("id", "class", "colour"))
        for index, name in enumerate(("background", *classes)):
            rows.writerow((index, name, "#" + VOC_PALETTE[index].tobytes().hex()))


def _text_file(path: Path) -> TextIO:
    """A file for text in which names that are not Unicode come back as they were."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
