"""What is refused before anything is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.labelling.label_maps import CLASSES, ring, write_images
from weaktr.errors import UserError
from weaktr.labelling.labelled_image import LabelledImage
from weaktr.labelling.write import write_labels


@pytest.fixture
def image(tmp_path: Path) -> LabelledImage:
    (image,) = write_images(tmp_path, {"a.jpg": ring()})
    return image


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 41}, "40x30 pixels but its image a.jpg is 41x30"),
        ({"mask": "missing.png"}, "missing.png does not exist"),
        ({"name": "a\n.jpg"}, "characters that cannot be written"),
        ({"name": "\udcff.jpg"}, "characters that cannot be written"),
    ],
)
def test_bad_input_is_refused_and_the_old_folder_stays(
    image: LabelledImage, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    out = tmp_path / "out"
    write_labels([image], CLASSES, "coco", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=sentence):
        write_labels([replace(image, **changes)], CLASSES, "coco", out)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_ids_that_are_no_class(image: LabelledImage, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no class; 2 classes are known .* Got: 3\."):
        write_labels([image], CLASSES[:2], "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_image_once(image: LabelledImage, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two masks are called 'a'"):
        write_labels([image, replace(image, name="b.jpg")], CLASSES, "coco", tmp_path / "out")
    with pytest.raises(UserError, match="the same name for the tool"):
        write_labels([image, replace(image, id="b")], CLASSES, "coco", tmp_path / "out")
    with pytest.raises(UserError, match="no images with masks"):
        write_labels([], CLASSES, "coco", tmp_path / "out")


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    maps = {f"{i}.png": np.full((4, 5), i % 4, np.uint8) for i in range(6)}
    images = write_images(tmp_path, maps)
    one = write_labels(images, CLASSES, "coco", tmp_path / "1", workers=1)
    two = write_labels(images, CLASSES, "coco", tmp_path / "2", workers=2)
    assert one.path.read_bytes() == two.path.read_bytes()
