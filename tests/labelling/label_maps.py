"""Label maps with what makes life hard: holes, parts, slivers, diagonals, void."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.tiny_data import write_image
from weaktr.data.masks import write_mask
from weaktr.labelling.labelled_image import LabelledImage
from weaktr.labels import VOID, Pixels

CLASSES = ("cat", "hot dog", "zebu & ox")


def ring(height: int = 30, width: int = 40) -> Pixels:
    """Class 1 with a hole that holds class 2; a sliver and a lone pixel of 3; void at an edge."""
    ids = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    far = np.hypot(y - 14, x - 15)
    ids[far < 12] = 1
    ids[far < 6] = 0
    ids[far < 3] = 2
    ids[2:20, 35] = 3
    ids[25, 30] = 3
    ids[:, -2:] = VOID
    return ids


def noise(seed: int, height: int = 17, width: int = 23) -> Pixels:
    """Pixels of any class, in no order."""
    rng = np.random.default_rng(seed)
    labels = np.array([0, 1, 2, 3, VOID], np.uint8)
    return labels[rng.integers(0, len(labels), (height, width))]


def write_images(
    root: Path, maps: Mapping[str, Pixels], scores: Sequence[float] = ()
) -> list[LabelledImage]:
    """Images and masks below a folder, by the names of the images."""
    images = []
    for seed, (name, ids) in enumerate(maps.items()):
        height, width = ids.shape
        write_image(root / "images" / name, seed=seed, width=width, height=height)
        mask = (root / "masks" / name).with_suffix(".png")
        mask.parent.mkdir(parents=True, exist_ok=True)
        write_mask(mask, ids)
        images.append(
            LabelledImage(
                id=name.rsplit(".", 1)[0],
                name=name,
                mask=str(mask),
                width=width,
                height=height,
                score=scores[0] if scores else None,
                scores=dict(enumerate(scores[1:], start=1)),
            )
        )
    return images
