"""A data set in numbers: images per split, tags per class, classes together, sizes."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from weaktr.data.manifest import Manifest

_SPLITS = ("train", "val", "test")
_MOST_PAIRS = 12


def summarise(manifest: Manifest, masked: Collection[str]) -> dict[str, Any]:
    """Counts as plain data, the same for the same manifest.

    Args:
        manifest: The images.
        masked: Ids of images that have a mask.

    Returns:
        `splits`: name -> images, images with tags, tags per image, masks. `classes`: name -> number
        of images in each split. `together`: for training images, class -> class -> images that have
        both (the diagonal has all images of a class). `pixels`: smallest, median and largest width,
        height, area and aspect (width / height), and the number of different sizes.
    """
    parts = {name: manifest.of_split(name) for name in _SPLITS}
    targets = {name: part.targets() for name, part in parts.items()}
    together = targets["train"].T @ targets["train"]
    return {
        "splits": {
            name: {
                "images": len(part),
                "tagged": int((targets[name].sum(1) > 0).sum()),
                "tags_per_image": round(float(targets[name].sum() / len(part)), 3),
                "masks": sum(record.id in masked for record in part),
            }
            for name, part in parts.items()
            if len(part)
        },
        "classes": {
            label: {name: int(targets[name][:, c].sum()) for name in _SPLITS if len(parts[name])}
            for c, label in enumerate(manifest.classes)
        },
        "together": {
            row: {
                column: int(together[r, c])
                for c, column in enumerate(manifest.classes)
                if together[r, c]
            }
            for r, row in enumerate(manifest.classes)
        },
        "pixels": _pixels(manifest),
    }


def _pixels(manifest: Manifest) -> dict[str, Any]:
    if len(manifest) == 0:
        return {}
    sides = np.array([(r.width, r.height) for r in manifest], np.int64)
    width, height = sides.T
    columns = {"width": width, "height": height, "area": width * height, "aspect": width / height}
    found: dict[str, Any] = {
        name: {
            "smallest": round(float(values.min()), 3),
            "median": round(float(np.median(values)), 3),
            "largest": round(float(values.max()), 3),
        }
        for name, values in columns.items()
    }
    found["different_sizes"] = len(np.unique(sides, axis=0))
    return found


def tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """The summary as tables for a terminal."""
    splits = summary["splits"]
    yield _table(
        "Splits",
        ("split", "images", "with tags", "tags per image", "masks"),
        [
            (name, part["images"], part["tagged"], part["tags_per_image"], part["masks"])
            for name, part in splits.items()
        ],
    )
    yield _table(
        "Images per class",
        ("id", "class", *splits),
        [
            (index, label, *counts.values())
            for index, (label, counts) in enumerate(summary["classes"].items(), start=1)
        ],
    )
    pairs = Counter(
        {
            (row, column): count
            for row, others in summary["together"].items()
            for column, count in others.items()
            if row < column
        }
    )
    if pairs:
        yield _table(
            "Together in training",
            ("class", "class", "images"),
            [(*pair, count) for pair, count in pairs.most_common(_MOST_PAIRS)],
            caption=f"{_MOST_PAIRS} of {len(pairs)} pairs" if len(pairs) > _MOST_PAIRS else None,
        )
    if pixels := summary["pixels"]:
        yield _table(
            "Pixels",
            ("", "smallest", "median", "largest"),
            [
                (name, *(f"{value:,.{digits}f}" for value in pixels[name].values()))
                for name, digits in (("width", 0), ("height", 0), ("area", 0), ("aspect", 2))
            ],
            caption=f"Different sizes: {pixels['different_sizes']}",
            texts=1,
        )


def _table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str | None = None,
    texts: int = 2,
) -> Table:
    """A table whose number columns are aligned right; at most the first `texts` hold text."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for index, name in enumerate(columns):
        text = all(isinstance(row[index], str) for row in rows) and index < texts
        table.add_column(name, justify="left" if text else "right")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # A class may be called `[b]`.
    return table
