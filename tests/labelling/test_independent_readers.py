"""Files for tools, read by other libraries of the field.

Neither is in the environment: Datumaro holds pandas and Pillow back, Supervision brings FFmpeg.
Where they are installed beside this package, these tests run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.labelling.label_maps import CLASSES, noise, ring, write_images
from weaktr.labelling.format_names import FormatName
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.labels import VOID, Pixels

MAPS = {"ring.jpg": ring(), "noise.jpg": noise(0), "empty.jpg": np.zeros((9, 8), np.uint8)}


def written(tmp_path: Path, format: FormatName, *, polygons: bool = False) -> Path:
    images = write_images(tmp_path, MAPS)
    out = tmp_path / "out"
    path = write_labels(images, CLASSES, format, out, Style(polygons=polygons)).path
    for name in ("images", "JPEGImages"):
        (out / name).symlink_to(tmp_path / "images")
    return path


def without_void(ids: Pixels) -> Pixels:
    return np.where(ids == VOID, 0, ids).astype(np.uint8)


def of_datumaro(dataset: Any, offset: int) -> Iterator[tuple[str, Pixels]]:
    for item in dataset:
        height, width = item.media.size
        ids = np.zeros((height, width), np.uint8)
        for annotation in item.annotations:
            if annotation.type.name == "mask":
                mask = annotation.image
            elif annotation.type.name == "polygon":
                code = coco_mask.frPyObjects([list(annotation.points)], height, width)
                mask = coco_mask.decode(coco_mask.merge(code))
            else:  # a box, which Datumaro adds to a shape
                continue
            ids[mask.astype(bool)] = annotation.label + offset
        yield f"{item.id}.jpg", ids


@pytest.mark.slow
@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("format", ["coco", "cvat"])
def test_datumaro(tmp_path: Path, format: FormatName, polygons: bool) -> None:
    datumaro = pytest.importorskip("datumaro", reason="holds pandas and Pillow back")
    written(tmp_path, format, polygons=polygons)
    dataset = datumaro.Dataset.import_from(str(tmp_path / "out"), format)
    for name, ids in of_datumaro(dataset, 1):
        np.testing.assert_array_equal(ids, without_void(MAPS[name]))


@pytest.mark.slow
def test_datumaro_reads_palette_files(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro", reason="holds pandas and Pillow back")
    written(tmp_path, "palette")
    dataset = datumaro.Dataset.import_from(str(tmp_path / "out"), "voc_segmentation")
    for name, ids in of_datumaro(dataset, 0):
        ids[ids == len(CLASSES) + 1] = VOID
        np.testing.assert_array_equal(ids, MAPS[name])


@pytest.mark.slow
def test_supervision(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision", reason="brings FFmpeg with it")
    path = written(tmp_path, "coco")
    dataset = supervision.DetectionDataset.from_coco(
        str(tmp_path / "images"), str(path), force_masks=True
    )
    assert dataset.classes == list(CLASSES)
    for file, image, found in dataset:
        ids = np.zeros(image.shape[:2], np.uint8)
        if found.mask is not None:
            for mask, label in zip(found.mask, found.class_id, strict=True):
                ids[mask] = label + 1
        np.testing.assert_array_equal(ids, without_void(MAPS[Path(file).name]))
