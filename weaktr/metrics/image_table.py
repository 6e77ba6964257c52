"""What is known of single images: one row for each, written as CSV and read again."""

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from weaktr.errors import UserError
from weaktr.files import replace_file
from weaktr.labels import BACKGROUND, VOID, Pixels

SEPARATOR = ";"
"""Between class names, which cannot hold it."""


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """The pseudo-label of one image.

    Attributes:
        id: Of the image.
        background: Share of its pixels that are background, in percent.
        void: Share of void pixels, in percent.
        foreground: Share of pixels with a class, in percent.
        confidence: Mean over pixels of how far the best CAM is from the background score, from 0
            (at it) to 1 (as far as it can be), before the CRF; NaN without tags.
        contrast: Of the tags' CAMs before they are scaled to [0, 1], the lowest (high - low) /
            (high + low): 0 is a flat map, which knows no place; NaN without tags.
        tags: What the image is said to show.
        missing: Tags that no pixel has.
        iou: Mean IoU over the labels in truth or label, in percent; NaN without a true mask.
    """

    id: str
    background: float
    void: float
    foreground: float
    confidence: float
    contrast: float
    tags: tuple[str, ...]
    missing: tuple[str, ...]
    iou: float


@dataclass(frozen=True, kw_only=True)
class PredictionRow:
    """What the segmenter found in one image.

    Attributes:
        id: Of the image.
        background: Share of its pixels that are background, in percent.
        foreground: Share of pixels with a class, in percent.
        confidence: Mean probability of the pixels' labels, from 0 to 1.
        tags: What the image is said to show; empty where that is not known.
        predicted: Classes of at least one pixel.
        missing: Tags that no pixel has.
        unexpected: Predicted classes that are not among the tags.
        iou: Mean IoU over the labels in truth or prediction, in percent; NaN without a true mask.
    """

    id: str
    background: float
    foreground: float
    confidence: float
    tags: tuple[str, ...]
    predicted: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    iou: float


AnyRow = TypeVar("AnyRow", LabelRow, PredictionRow)


def row_of(kind: type[AnyRow], values: Mapping[str, Any]) -> AnyRow:
    """The row with fields that went through JSON, which knows no tuples."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return kind(**fields)


def shares(labels: Pixels, classes: Sequence[str]) -> tuple[float, float, tuple[str, ...]]:
    """What a label map is made of.

    Args:
        labels: Ids `[H, W]`.
        classes: All class names, background apart.

    Returns:
        Shares of background and of void in percent, and the names of the classes in it.

    >>> shares(np.array([[0, 0, 2, 255]], np.uint8), ("cat", "cow"))
    (50.0, 25.0, ('cow',))
    """
    counts = np.bincount(labels.ravel(), minlength=VOID + 1)
    found = np.flatnonzero(counts[BACKGROUND + 1 : VOID]).tolist()
    percent = 100 / labels.size
    return (
        float(counts[BACKGROUND] * percent),
        float(counts[VOID] * percent),
        tuple(classes[label] for label in found),
    )


def without(names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """The names that are not among others, in their order."""
    return tuple(name for name in names if name not in others)


def write_image_rows(
    path: Path, rows: Sequence[LabelRow] | Sequence[PredictionRow], kind: type
) -> None:
    """Writes one line per image; equal rows give equal bytes.

    Args:
        path: The CSV file; several class names in a field are separated by `;`.
        rows: In the order to write.
        kind: `LabelRow` or `PredictionRow`: gives the columns.
    """
    columns = [field.name for field in dataclasses.fields(kind)]
    with (
        replace_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(getattr(row, name)) for name in columns] for row in rows)


def read_label_rows(path: Path) -> list[LabelRow]:
    """Reads the rows of pseudo-labels that `write_image_rows` wrote."""
    return [LabelRow(**values) for values in _read(path, LabelRow)]


def read_prediction_rows(path: Path) -> list[PredictionRow]:
    """Reads the rows of predictions that `write_image_rows` wrote."""
    return [PredictionRow(**values) for values in _read(path, PredictionRow)]


def _text(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return SEPARATOR.join(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return value


def _read(path: Path, kind: type) -> list[dict[str, Any]]:
    fields = dataclasses.fields(kind)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run `dvc repro`.") from None
    if lines and set(lines[0]) != {field.name for field in fields}:
        raise UserError(f"{path} has other columns than this version writes; run `dvc repro`.")
    return [
        {field.name: _value(line[field.name], field.type) for field in fields} for line in lines
    ]


def _value(text: str, kind: object) -> str | float | tuple[str, ...]:
    if kind is float:
        return float(text) if text else math.nan
    if kind is str:
        return text
    return tuple(text.split(SEPARATOR)) if text else ()
