"""The demo's data set: generated scenes in VOC's layout.

Every image is drawn from (data seed, split, index), so that equal params give equal pixels on any
machine and with any number of processes. PNG keeps images lossless. `troubles` makes the set harder
in known ways.
"""

import csv
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weaktr.config.dataset import ShapesParams
from weaktr.data.demo.drawing import TEXTURES
from weaktr.data.demo.patterns import DEMO_PATTERNS
from weaktr.data.demo.scenes import Coat, Scene, SceneStyle, draw_scene
from weaktr.data.demo.troubles import troubled_coats, troubled_style, troubled_tags
from weaktr.data.masks import write_mask
from weaktr.data.parallel import end_with_parent
from weaktr.files import replace_dir

HUES = {"red": 0.0, "lime": 0.2, "jade": 0.4, "azure": 0.6, "violet": 0.8}
CLASSES = ("azure-violet", "jade-azure", "lime-jade", "red-lime", "violet-red")
PATTERNS = tuple(DEMO_PATTERNS.values())
SPLITS = ("train", "val")
MOST_CREATURES = 3


def draw_shapes_scene(params: ShapesParams, split: str, index: int) -> Scene:
    """Draws one scene: one to three creatures of random classes over clutter, or a trouble's.

    Args:
        params: The `dataset.shapes` section.
        split: `train` or `val`.
        index: Number of the image within its split.
    """
    rng = np.random.default_rng((params.data_seed, SPLITS.index(split), index))
    trouble = params.trouble
    count = int(rng.integers(1, (trouble.crowd or MOST_CREATURES) + 1))
    coats = [_draw_coat(rng) for _ in range(count)]
    coats = troubled_coats(_beside(params, split, index, "coats"), coats, trouble, len(CLASSES))
    return draw_scene(rng, scene_style(params), coats)


def scene_style(params: ShapesParams) -> SceneStyle:
    """How the scenes of a data set look, its troubles counted in."""
    return troubled_style(SceneStyle(side=params.image_side), params.trouble)


def _beside(params: ShapesParams, split: str, index: int, use: str) -> np.random.Generator:
    """Randomness of an image that is not its scene's, one source per use."""
    number = 1 + ("coats", "tags").index(use)
    return np.random.default_rng((params.data_seed, SPLITS.index(split), index, number))


def _draw_coat(rng: np.random.Generator) -> Coat:
    """A random class; everything but the pair of hues is independent of it."""
    label = int(rng.integers(len(CLASSES)))
    pair = rng.permutation([HUES[name] for name in CLASSES[label].split("-")])
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    return Coat(label, pattern, str(rng.choice(TEXTURES)), (float(pair[0]), float(pair[1])))


def write_shapes(folder: Path, params: ShapesParams) -> None:
    """Writes the data set, or nothing at all.

    The layout is VOC's: `JPEGImages/*.png`, `SegmentationClass/*.png` (palette masks, border 255),
    `ImageSets/Segmentation/{train,val}.txt`; `tags.csv` (image, tags, split) has the image-level
    tags, `classes.txt` the class list.

    Args:
        folder: Replaced when the whole data set is drawn.
        params: The `dataset.shapes` section.

    Raises:
        UserError: If its objects do not fit its images.
    """
    scene_style(params)
    jobs = [
        (split, index)
        for split, count in zip(SPLITS, (params.train_images, params.val_images), strict=True)
        for index in range(count)
    ]
    with replace_dir(folder) as root:
        for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (root / name).mkdir(parents=True)
        with ProcessPoolExecutor(os.cpu_count(), initializer=end_with_parent) as pool:
            tags = list(pool.map(partial(_write_scene, root, params), jobs, chunksize=25))
        for split in SPLITS:
            names = [_name(*job) for job in jobs if job[0] == split]
            listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
            listing.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        (root / "classes.txt").write_text("".join(f"{c}\n" for c in CLASSES), encoding="utf-8")
        with (root / "tags.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("image", "tags", "split"))
            for (split, index), names in zip(jobs, tags, strict=True):
                table.writerow((f"JPEGImages/{_name(split, index)}.png", ";".join(names), split))


def _write_scene(root: Path, params: ShapesParams, job: tuple[str, int]) -> list[str]:
    """Draws and writes one image and its mask; returns its tags."""
    scene = draw_shapes_scene(params, *job)
    name = _name(*job)
    Image.fromarray(scene.image).save(root / "JPEGImages" / f"{name}.png", compress_level=1)
    mask: NDArray[np.uint8] = scene.labels
    write_mask(root / "SegmentationClass" / f"{name}.png", mask)
    tags: Sequence[int] = scene.classes
    if job[0] == "train":
        rng = _beside(params, *job, "tags")
        tags = troubled_tags(rng, scene.classes, params.trouble, len(CLASSES))
    return [CLASSES[index] for index in tags]


def _name(split: str, index: int) -> str:
    return f"{split}_{index:05d}"
