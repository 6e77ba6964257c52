"""A small COCO data set to read and to spoil."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny_data import HEIGHT, WIDTH, box, write_coco
from weaktr.config.dataset import DatasetParams
from weaktr.data.readers.coco import read_coco

COW, CAT, DOG = 40, 7, 9
RUNS = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 4, HEIGHT * (WIDTH - 4)]}
"""A run-length code of the four columns on the left."""


def shape(category: int, segmentation: Any, area: float, **more: Any) -> dict[str, Any]:
    return {"category_id": category, "segmentation": segmentation, "area": area, **more}


def params(root: Path, **changes: Any) -> DatasetParams:
    return DatasetParams(kind="coco", root=str(root), **changes)


def painted(root: Path, image: str, **changes: Any) -> np.ndarray:
    (entry,) = [e for e in read_coco(params(root, **changes)).entries if e.id == image]
    assert entry.mask is not None
    return entry.mask.read()


def change(root: Path, split: str, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Edits the content of an annotation file."""
    file = root / "annotations" / f"instances_{split}2014.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))
    return file


def write_small_coco(tmp_path: Path) -> Path:
    return write_coco(
        tmp_path / "coco",
        {
            "train2014": {
                "COCO_train2014_01": [
                    shape(DOG, box(2, 2, 6, 6), 16),
                    shape(CAT, box(0, 0, 12, 16), 192),
                ],
                "COCO_train2014_02": [shape(COW, box(0, 0, 4, 4), 16)],
            },
            "val2014": {
                "COCO_val2014_01": [
                    shape(CAT, RUNS, HEIGHT * 4, iscrowd=1),
                    shape(DOG, box(2, 0, 8, 8), 48),
                ]
            },
        },
    )
