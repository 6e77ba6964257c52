"""A manifest of noise images with masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rng = np.random.default_rng(0)
    records = []
    for i in range(7):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(path)
        mask = rng.integers(0, 3, (20 + i, 30), dtype=np.uint8)
        write_mask(tmp_path / f"{i}-mask.png", mask)
        tags = ("a", "b")[: 1 + i % 2]
        records.append(Record(str(i), str(path), "train", tags, 30, 20 + i, ""))
    return Manifest(("a", "b"), tuple(records))
