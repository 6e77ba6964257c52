"""Exports of CVAT: `CVAT for images 1.1`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_data import HEIGHT, WIDTH, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.readers.cvat import read_cvat
from weaktr.data.readers.listing import Entry, Listing
from weaktr.errors import UserError

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
  <label><name>dog</name></label><label><name>cat</name></label><label><name>background</name></label>
</labels></task></meta>
"""
TAG = '<tag label="dog" source="manual"><attribute name="a">1</attribute></tag>'
MASK = '<mask label="cat" rle="1, 2, 3, 2" left="3" top="2" width="4" height="2" z_order="0"/>'
TOP = (
    f'<polygon label="dog" points="0.00,0.00;{WIDTH}.00,0.00;{WIDTH}.00,3.00;0.00,3.00" '
    'z_order="1"/>'
)
BOX = '<box label="dog" xtl="1" ytl="1" xbr="4" ybr="4"/>'


def image(name: str, *shapes: str, more: str = "") -> str:
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return f'<image id="0" name="{name}" {size} {more}>{"".join(shapes)}</image>'


def export(root: Path, *images: str, files: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Path:
    for seed, name in enumerate(files):
        write_image(root / "images" / name, seed=seed)
    (root / "annotations.xml").write_text(HEAD + "".join(images) + "</annotations>")
    return root


def params(root: Path, **more: Any) -> DatasetParams:
    return DatasetParams(kind="cvat", root=str(root), val_share=0, **more)


def read(root: Path, **more: Any) -> Listing:
    return read_cvat(params(root, **more))


def painted(entry: Entry) -> np.ndarray:
    assert entry.mask is not None
    return entry.mask.read()


def test_tags_and_the_order_of_labels(tmp_path: Path) -> None:
    listing = read(export(tmp_path, image("a.jpg", TAG), image("b.jpg")))
    assert listing.classes == ("dog", "cat")
    assert [(e.id, e.tags, e.mask) for e in listing.entries] == [("a", ("dog",), None)]
    notes = "\n".join(listing.notes)
    assert "no annotation of them: 1 (b.jpg)." in notes
    assert "labels that are no classes: 'background'" in notes


def test_masks_and_polygons_by_their_order(tmp_path: Path) -> None:
    (entry,) = read(export(tmp_path, image("a.jpg", TOP, MASK))).entries
    assert entry.tags == ("dog", "cat")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2, 4:6] = 2
    expected[3, 5:7] = 2
    expected[:3] = 1
    np.testing.assert_array_equal(painted(entry), expected)


def test_background_is_painted(tmp_path: Path) -> None:
    hole = TOP.replace('"dog"', '"background"').replace("3.00", "1.00").replace('"1"', '"2"')
    (entry,) = read(export(tmp_path, image("a.jpg", TOP, hole, MASK))).entries
    assert entry.tags == ("dog", "cat")
    assert painted(entry)[:3, 0].tolist() == [0, 1, 1]


def test_boxes_give_tags_and_no_mask(tmp_path: Path) -> None:
    listing = read(export(tmp_path, image("a.jpg", MASK, BOX)))
    (entry,) = listing.entries
    assert (entry.tags, entry.mask) == (("dog", "cat"), None)
    (problem,) = listing.problems
    assert problem.kind == "no-shape"
    assert "(image 'a.jpg')" in problem.message


def test_subsets_are_splits(tmp_path: Path) -> None:
    one = image("a.jpg", TAG, more='subset="Train"')
    other = image("a.jpg", TAG, more='subset="Validation"')
    files = ("Train/a.jpg", "Validation/a.jpg")
    listing = read(export(tmp_path, one, other, files=files))
    assert [(e.id, e.split) for e in listing.entries] == [
        ("Train__a", "train"),
        ("Validation__a", "val"),
    ]
    strange = image("a.jpg", TAG, more='subset="other"')
    (problem,) = read(export(tmp_path, one, strange, files=("Train/a.jpg", "other/a.jpg"))).problems
    assert "none of train, val, test" in problem.message


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ((image("c.jpg", TAG),), "image 'c.jpg' names an image that is not below"),
        ((image("a.jpg", TAG), image("a.jpg", TAG)), "has image 'a.jpg' twice"),
        ((image("a.jpg", TAG.replace("dog", "cow")),), "not in the file's list (dog, cat"),
        ((image("a.jpg", MASK.replace("1, 2", "1, 3")),), "image 'a.jpg' has a mask whose runs"),
        ((image("a.jpg", MASK.replace('left="3"', 'left="30"')),), "whose box does not lie in"),
        ((image("a.jpg", TOP.replace("0.00,0.00;", "0.00;")),), "no pairs of numbers"),
        ((image("a.jpg", TAG).replace('width="', 'w="'),), "without name, width or height"),
        ((image("a.jpg", MASK).replace(f'"{HEIGHT}"', '"99"'),), "24x99 pixels but its image"),
        (("<track id='0' label='dog'></track>",), "export of a video"),
        (("<image",), "not valid XML"),
        ((image("a.jpg"),), "gives no image a label"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(
    tmp_path: Path, images: tuple[str, ...], sentence: str
) -> None:
    report = check_dataset(params(export(tmp_path, *images)))
    assert sentence in "\n".join(problem.message for problem in report.errors)


def test_another_file_than_an_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="annotations.xml does not exist"):
        read(tmp_path)
    (tmp_path / "annotations.xml").write_text('<?xml version="1.0" encoding="x"?><annotations/>')
    with pytest.raises(UserError, match="is not valid XML"):
        read(tmp_path)
    for text in ("<x/>", "<annotations/>"):
        (tmp_path / "annotations.xml").write_text(text)
        with pytest.raises(UserError, match="is no export of CVAT"):
            read(tmp_path)


@pytest.mark.parametrize("points", ["-9,1;-2,1;-2,5", "1,1;5,5"])
def test_a_polygon_without_pixels_gives_a_tag_and_no_mask(tmp_path: Path, points: str) -> None:
    speck = f'<polygon label="dog" points="{points}"/>'
    (entry,) = read(export(tmp_path, image("a.jpg", MASK, speck))).entries
    assert (entry.tags, entry.mask) == (("dog", "cat"), None)


def test_a_polygon_that_reaches_out_is_cut_and_counted(tmp_path: Path) -> None:
    listing = read(export(tmp_path, image("a.jpg", TOP.replace("0.00,0.00", "-9.00,-9.00"))))
    (problem,) = listing.problems
    assert "reach out of their image and are cut at its edge: 1 (image 'a.jpg')" in problem.message
