"""Stand-ins for the published data sets: their layout and classes, a handful of small images."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny_data import write_image
from weaktr.data.masks import write_mask
from weaktr.data.readers.voc import VOC_CLASSES

WIDTH, HEIGHT = 72, 48
TRAIN = 4
"""Training images, which share the classes among them; there is half as many for validation."""
COCO_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = [number for number in range(1, 91) if number not in COCO_GAPS]


def stripes(ids: list[int]) -> np.ndarray:
    """A mask `[H, W]` of vertical stripes, background first."""
    columns = np.arange(WIDTH) * (len(ids) + 1) // WIDTH
    return np.broadcast_to(np.array([0, *ids], np.uint8)[columns], (HEIGHT, WIDTH)).copy()


def write_voc12(root: Path) -> None:
    """`VOCdevkit/VOC2012` as it is unpacked, with SBD's masks in `SegmentationClassAug`."""
    names = [f"2012_{number:06}" for number in range(TRAIN + TRAIN // 2)]
    for folder in ("Annotations", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(names):
        ids = list(range(1 + number % TRAIN, len(VOC_CLASSES) + 1, TRAIN))
        write_image(root / f"JPEGImages/{name}.jpg", seed=number, width=WIDTH, height=HEIGHT)
        write_mask(root / f"SegmentationClassAug/{name}.png", stripes(ids))
        objects = "".join(f"<object><name>{VOC_CLASSES[i - 1]}</name></object>" for i in ids)
        annotation = root / f"Annotations/{name}.xml"
        annotation.write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")
    held_out = "".join(f"{name}\n" for name in names[TRAIN:])
    (root / "ImageSets/Segmentation/val.txt").write_text(held_out, encoding="utf-8")


def write_coco14(root: Path) -> None:
    """`train2014`, `val2014` and `annotations`, with COCO's 80 categories between 1 and 90."""
    categories = [{"id": number, "name": f"thing {number}"} for number in COCO_IDS]
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train2014", TRAIN), ("val2014", TRAIN // 2)):
        content: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": categories,
        }
        for number in range(count):
            file = f"COCO_{split}_{number:012}.jpg"
            write_image(root / split / file, seed=number, width=WIDTH, height=HEIGHT)
            content["images"].append(
                {"id": number, "file_name": file, "width": WIDTH, "height": HEIGHT}
            )
            present = COCO_IDS[number::TRAIN]
            for place, category in enumerate(present):
                left, right = (edge * WIDTH // len(present) for edge in (place, place + 1))
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 1,
                        "image_id": number,
                        "category_id": category,
                        "iscrowd": 0,
                        "area": (right - left) * HEIGHT / 2,
                        "segmentation": [[left, 8, right, 8, right, 32, left, 32]],
                    }
                )
        path = root / f"annotations/instances_{split}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
