"""Label maps find their images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.labelling.label_maps import ring, write_images
from tests.tiny_data import write_image
from weaktr.data.manifest import Manifest, MaskRecord, Record, save_masks
from weaktr.data.masks import write_mask
from weaktr.errors import UserError
from weaktr.labelling.find_images import find_labelled_images


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path, {"b/two.jpg": ring(), "one.jpeg": ring()})
    return tmp_path


def manifest(root: Path) -> Path:
    records = [
        Record(f"x__{name}", f"{root}/images/{file}", split, (), 40, 30, "0")
        for name, file, split in (("one", "one.jpeg", "train"), ("two", "b/two.jpg", "val"))
    ]
    Manifest(("cat", "dog", "cow"), tuple(records)).save(root / "prepared")
    return root / "prepared"


def test_by_the_names_of_a_folder(root: Path) -> None:
    found = find_labelled_images(root / "masks", root / "images", "cat,dog,cow")
    assert [(i.id, i.name, i.width, i.height) for i in found.images] == [
        ("b/two", "b/two.jpg", 40, 30),
        ("one", "one.jpeg", 40, 30),
    ]
    assert found.classes == ("cat", "dog", "cow")
    assert found.notes == [f"Names of images start at {root / 'images'}."]


def test_by_ids_without_folders(root: Path) -> None:
    (root / "masks/b/two.png").rename(root / "masks/b__two.png")
    found = find_labelled_images(root / "masks", root / "images", "cat,dog,cow")
    assert [i.name for i in found.images] == ["b/two.jpg", "one.jpeg"]


def test_sizes_are_those_of_images_as_shown(root: Path) -> None:
    turned = Image.new("RGB", (30, 40))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(root / "images/one.jpeg", exif=exif)
    found = find_labelled_images(root / "masks", root / "images", "cat,dog,cow")
    assert [(i.width, i.height) for i in found.images] == [(40, 30), (40, 30)]


def test_by_the_ids_of_a_manifest(root: Path) -> None:
    folder = manifest(root)
    labels = root / "labels"
    labels.mkdir()
    write_mask(labels / "x__two.png", ring())
    found = find_labelled_images(labels, folder)
    (image,) = found.images
    assert (image.id, image.name, image.split) == ("x__two", "two.jpg", "val")
    assert found.classes == ("cat", "dog", "cow")
    assert "Images without a mask, which were left out: 1." in found.notes
    save_masks(folder, {"x__one": MaskRecord("x__one", f"{root}/masks/one.png", "0")})
    (image,) = find_labelled_images(folder / "masks.csv", folder).images
    assert (image.id, image.mask) == ("x__one", f"{root}/masks/one.png")


def test_a_mask_without_an_image_is_refused(root: Path) -> None:
    write_mask(root / "masks/three.png", ring())
    write_mask(root / "masks/four.png", ring())
    with pytest.raises(UserError, match=r"2 masks \(.*four.png, ...\) have no image of that name"):
        find_labelled_images(root / "masks", root / "images", "cat")
    with pytest.raises(UserError, match="4 masks .* have no image"):
        find_labelled_images(root / "masks", root / "masks", "cat")


def test_two_images_of_a_name(root: Path) -> None:
    write_image(root / "images/one.png", width=40, height=30)
    with pytest.raises(UserError, match="fits more than one file"):
        find_labelled_images(root / "masks", root / "images", "cat")


@pytest.mark.parametrize(
    ("masks", "images", "sentence"),
    [
        ("masks", None, "name their folder"),
        ("nowhere", "images", "nowhere is not a folder"),
        ("masks", "nowhere", "nowhere is not a folder"),
        ("images", "masks", "has no masks"),
        ("masks", "images", "nothing says what the ids in"),
    ],
)
def test_what_is_missing_is_named(
    root: Path, masks: str, images: str | None, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        find_labelled_images(root / masks, root / images if images else None)


@pytest.mark.parametrize("place", ["masks", ".", "images"])
def test_a_list_of_classes_beside_the_masks(root: Path, place: str) -> None:
    (root / place / "classes.txt").write_text("cow\ncat\ndog\n")
    found = find_labelled_images(root / "masks", root / "images")
    assert found.classes == ("cow", "cat", "dog")
    assert f"Classes come from {root / place / 'classes.txt'}." in found.notes


def test_hidden_files_are_no_masks(root: Path) -> None:
    write_mask(root / "masks/.one.png", np.zeros((2, 2), np.uint8))
    assert len(find_labelled_images(root / "masks", root / "images", "cat,dog,cow").images) == 2


def test_scores_of_a_table(root: Path) -> None:
    table = root / "images.csv"
    table.write_text("id,background,confidence\nx__one,5,0.25\nx__two,5,\n")
    masks = root / "labels"
    masks.mkdir()
    for name in ("x__one", "x__two"):
        write_mask(masks / f"{name}.png", ring())
    found = find_labelled_images(masks, manifest(root), scores=table)
    assert [image.score for image in found.images] == [0.25, None]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,sure\none,1\n", "is not a table with the columns id and confidence"),
        ("id,confidence\none\n", "is not a table with the columns id and confidence"),
        ("id,confidence\none,x\n", "a confidence that is no number"),
        ("id,confidence\nother,1\n", "no confidence of any of the images; their ids are like"),
    ],
)
def test_scores_that_fit_no_image(root: Path, text: str, sentence: str) -> None:
    (root / "images.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        find_labelled_images(
            root / "masks", root / "images", "cat,dog,cow", scores=root / "images.csv"
        )
