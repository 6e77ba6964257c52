"""Tiny data sets in every layout that a reader knows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from weaktr.data.masks import write_mask
from weaktr.data.readers.listing import Entry, StoredMask

WIDTH, HEIGHT = 24, 16


def write_image(path: Path, *, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """A noise image in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def striped_mask(ids: tuple[int, ...], *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A mask `[H, W]` with one vertical stripe for each id."""
    columns = np.arange(width) * len(ids) // width
    return np.broadcast_to(np.array(ids, np.uint8)[columns], (height, width)).copy()


def mask_path(entry: Entry) -> str:
    """The file of an image's mask; empty for an image without one."""
    if entry.mask is None:
        return ""
    assert isinstance(entry.mask, StoredMask)
    return entry.mask.path


def write_folder(root: Path, rows: Mapping[str, str], header: str = "image,tags") -> Path:
    """The folder layout: image name -> the rest of its line in `tags.csv`."""
    for seed, name in enumerate(rows):
        write_image(root / "images" / name, seed=seed)
    lines = [header, *(f"{name},{rest}" for name, rest in rows.items())]
    (root / "tags.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def write_voc(
    root: Path,
    splits: Mapping[str, Mapping[str, tuple[int, ...]]],
    *,
    masks: str = "SegmentationClass",
    annotations: bool = True,
) -> Path:
    """VOC's layout: split -> image id -> ids in its mask (VOC's, beside background)."""
    from weaktr.data.readers.voc import VOC_CLASSES

    (root / "ImageSets" / "Segmentation").mkdir(parents=True, exist_ok=True)
    (root / masks).mkdir(exist_ok=True)
    seed = 0
    for split, images in splits.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(
            "".join(f"{name}\n" for name in images), encoding="utf-8"
        )
        for name, ids in images.items():
            seed += 1
            write_image(root / "JPEGImages" / f"{name}.jpg", seed=seed)
            write_mask(root / masks / f"{name}.png", striped_mask((0, *ids, 255)))
            if annotations:
                objects = "".join(
                    f"<object><name>{VOC_CLASSES[i - 1]}</name><difficult>{i % 2}</difficult>"
                    "<part><name>head</name></part></object>"
                    for i in ids
                )
                (root / "Annotations").mkdir(exist_ok=True)
                (root / "Annotations" / f"{name}.xml").write_text(
                    f"<annotation>{objects}</annotation>", encoding="utf-8"
                )
    return root


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    """A rectangle as COCO writes polygons."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def write_coco(root: Path, annotations: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> Path:
    """COCO's layout with the categories 7 `cat`, 9 `dog` and 40 `cow`.

    Args:
        root: Where to.
        annotations: Split with year -> image stem -> annotations, without ids.
    """
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": 40, "name": "cow"}, {"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]
    seed = 0
    for split, images in annotations.items():
        content: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": categories,
        }
        for number, (stem, found) in enumerate(images.items(), start=1):
            seed += 1
            write_image(root / split / f"{stem}.jpg", seed=seed)
            content["images"].append(
                {"id": number, "file_name": f"{stem}.jpg", "width": WIDTH, "height": HEIGHT}
            )
            for annotation in found:
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 1,
                        "image_id": number,
                        "iscrowd": 0,
                        **annotation,
                    }
                )
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root
