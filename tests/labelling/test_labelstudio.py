"""Tasks for Label Studio."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.labelling.label_maps import CLASSES, noise, ring, write_images
from weaktr.data.brush_rle import decode_brush
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.labels import VOID

MAPS = {"b/ring.jpg": ring(), "a.jpg": noise(0)}


def tasks(tmp_path: Path, style: Style | None = None) -> list[dict[str, Any]]:
    images = write_images(tmp_path, MAPS, (0.75, 0.9))
    outcome = write_labels(images, CLASSES, "labelstudio", tmp_path / "out", style)
    return json.loads(outcome.path.read_text())


def test_a_task_for_each_image_with_painted_regions(tmp_path: Path) -> None:
    first, second = tasks(tmp_path)
    assert first["data"] == {"image": "a.jpg", "id": "a"}
    assert second["data"] == {"image": "b/ring.jpg", "id": "b/ring"}
    (prediction,) = second["predictions"]
    assert prediction["model_version"] == "weaktr"
    assert prediction["score"] == 0.75
    found = np.zeros_like(ring())
    for result in prediction["result"]:
        (name,) = result["value"]["brushlabels"]
        assert (result["original_width"], result["original_height"]) == ring().shape[::-1]
        mask = decode_brush(result["value"]["rle"], *ring().shape)
        found[mask] = CLASSES.index(name) + 1
    np.testing.assert_array_equal(found, np.where(ring() == VOID, 0, ring()))
    assert [result.get("score") for result in prediction["result"]] == [0.9, None, None]
    names = [result["id"] for result in prediction["result"]]
    assert len(set(names)) == len(names) == 3


def test_the_code_is_read_by_label_studios_own_converter(tmp_path: Path) -> None:
    brush = pytest.importorskip(
        "label_studio_sdk.converter.brush", reason="brings 35 packages with it, OpenCV among them"
    )
    _, task = tasks(tmp_path)
    result = task["predictions"][0]["result"][0]
    pixels = brush.decode_rle(result["value"]["rle"]).reshape(*ring().shape, 4)[:, :, 3]
    np.testing.assert_array_equal(pixels == 255, ring() == 1)


def test_polygons_are_percentages(tmp_path: Path) -> None:
    _, task = tasks(tmp_path, Style(polygons=True))
    results = task["predictions"][0]["result"]
    assert [result["value"]["polygonlabels"] for result in results] == [
        [CLASSES[0]],
        [CLASSES[1]],
        [CLASSES[2]],
        [CLASSES[2]],
    ]
    points = np.array(results[2]["value"]["points"])
    assert points[:, 0] / 100 * 40 == pytest.approx([35, 35.5, 36, 36, 35.5, 35])
    interface = ElementTree.parse(tmp_path / "out" / "labels.xml").getroot()
    assert interface.find("PolygonLabels") is not None


def test_the_interface_has_every_class(tmp_path: Path) -> None:
    tasks(tmp_path)
    interface = ElementTree.parse(tmp_path / "out" / "labels.xml").getroot()
    labels = interface.findall("BrushLabels/Label")
    assert tuple(label.attrib["value"] for label in labels) == CLASSES
    assert labels[0].attrib["background"] == "#800000"
    assert (tmp_path / "out" / "classes.txt").read_text() == "cat\nhot dog\nzebu & ox\n"


def test_a_prefix_makes_urls(tmp_path: Path) -> None:
    maps = {"a & b/1 #2.jpg": noise(1)}
    images = write_images(tmp_path, maps)
    style = Style(image_prefix="/data/local-files/?d=photos/")
    path = write_labels(images, CLASSES, "labelstudio", tmp_path / "out", style).path
    (task,) = json.loads(path.read_text())
    assert task["data"]["image"] == "/data/local-files/?d=photos/a%20%26%20b/1%20%232.jpg"
