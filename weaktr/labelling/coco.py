"""COCO's instance annotations: `annotations/instances_<split>.json`.

Categories have the ids of the class list, images and annotations are numbered in their order. A
region is a run-length code, which holds every pixel and hole, or polygons.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from weaktr.labelling.json_lines import write_json_file
from weaktr.labelling.labelled_image import Annotated, Style

NO_SPLIT = "default"
"""Name of the split where there are none, as CVAT and Datumaro have it."""


def describe(annotated: Annotated, classes: Sequence[str], style: Style) -> dict[str, Any]:
    """The image and its annotations, still without numbers."""
    image = annotated.image
    annotations = []
    for region in annotated.regions:
        shape: Any = region.runs()
        if style.polygons:
            shape = [polygon.ravel().tolist() for polygon in region.polygons()]
        annotation = {
            "category_id": region.label,
            "segmentation": shape,
            "area": region.area,
            "bbox": list(region.box),
            "iscrowd": 0,
        }
        if region.score is not None:
            annotation["score"] = round(region.score, 4)
        annotations.append(annotation)
    entry: dict[str, Any] = {"file_name": image.name, "width": image.width, "height": image.height}
    if image.score is not None:
        entry["score"] = round(image.score, 4)
    return {"split": image.split or NO_SPLIT, "image": entry, "annotations": annotations}


def write(described: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path) -> Path:
    """Writes one file for each split."""
    categories = [
        {"id": index, "name": name, "supercategory": ""}
        for index, name in enumerate(classes, start=1)
    ]
    splits: dict[str, dict[str, list[Any]]] = {}
    for one in described:
        lists = splits.setdefault(
            one["split"], {"categories": categories, "images": [], "annotations": []}
        )
        number = len(lists["images"]) + 1
        lists["images"].append({"id": number, **one["image"]})
        for annotation in one["annotations"]:
            place = {"id": len(lists["annotations"]) + 1, "image_id": number}
            lists["annotations"].append({**place, **annotation})
    paths = {split: folder / "annotations" / f"instances_{split}.json" for split in splits}
    for split, lists in splits.items():
        write_json_file(paths[split], dict(lists))
    return next(iter(paths.values()))
