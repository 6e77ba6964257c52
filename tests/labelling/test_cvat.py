"""CVAT's XML, painted again by its documented rules."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.labelling.label_maps import CLASSES, noise, ring, write_images
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.labels import VOID, Pixels

MAPS = {"b/ring & co.jpg": ring(), "a.jpg": noise(0), "c.jpg": np.zeros((9, 8), np.uint8)}


def painted(element: ElementTree.Element) -> Pixels:
    height, width = int(element.attrib["height"]), int(element.attrib["width"])
    ids = np.zeros((height, width), np.uint8)
    for shape in element:
        label = CLASSES.index(shape.attrib["label"]) + 1
        if shape.tag == "mask":
            left, top, w, h = (int(shape.attrib[k]) for k in ("left", "top", "width", "height"))
            runs = [int(run) for run in shape.attrib["rle"].split(",")]
            inside = np.repeat(np.arange(len(runs)) % 2, runs).reshape(h, w).astype(bool)
            ids[top : top + h, left : left + w][inside] = label
        else:
            points = [
                float(x) for pair in shape.attrib["points"].split(";") for x in pair.split(",")
            ]
            (code,) = coco_mask.frPyObjects([points], height, width)
            ids[coco_mask.decode(code).astype(bool)] = label
    return ids


@pytest.mark.parametrize("style", [Style(), Style(polygons=True), Style(split_parts=True)])
def test_the_file_holds_the_masks(tmp_path: Path, style: Style) -> None:
    images = write_images(tmp_path, MAPS)
    outcome = write_labels(images, CLASSES, "cvat", tmp_path / "out", style)
    root = ElementTree.parse(outcome.path).getroot()
    assert root.findtext("version") == "1.1"
    found = root.findall("image")
    assert [(e.attrib["id"], e.attrib["name"]) for e in found] == [
        ("0", "a.jpg"),
        ("1", "b/ring & co.jpg"),
        ("2", "c.jpg"),
    ]
    for element in found:
        ids = MAPS[element.attrib["name"]]
        np.testing.assert_array_equal(painted(element), np.where(ids == VOID, 0, ids))
    names = [name.text for name in root.findall("meta/task/labels/label/name")]
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert names == [label["name"] for label in labels] == list(CLASSES)
