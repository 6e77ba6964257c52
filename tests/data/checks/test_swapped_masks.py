"""Masks in which white or background may mean something else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.checks.sound_folder import params
from tests.data.checks.test_masks import TWO, folder, grey, problem
from tests.tiny_data import HEIGHT, WIDTH, write_coco
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset


@pytest.mark.parametrize("depth", ["ids", "white", "painted"])
@pytest.mark.parametrize("inverted", [True, False])
def test_masks_of_one_class_that_look_inverted_are_said(
    tmp_path: Path, depth: str, inverted: bool
) -> None:
    object_ = np.zeros((HEIGHT, WIDTH), np.uint8)
    object_[4:12, 6:18] = 1
    ids = 1 - object_ if inverted else object_
    if depth == "painted":
        code = {"size": [HEIGHT, WIDTH], "counts": run_counts(ids)}
        both = {"1": [{"category_id": 7, "segmentation": code}]}
        write_coco(tmp_path / "coco", {"train2014": both, "val2014": both})
        report = check_dataset(
            DatasetParams(kind="coco", root=str(tmp_path / "coco"), classes=("cat",))
        )
        masks = 2
    else:
        image = Image.fromarray(ids * (255 if depth == "white" else 1))
        root = folder(tmp_path, dict.fromkeys("abcd", "cat"), dict.fromkeys("abcd", image))
        report = check_dataset(params(root))
        masks = 4
    assert not report.errors
    if inverted:
        said = problem(report, "inverted-masks")
        assert f"nearly all of the border in {masks} of {masks} masks, such as that of" in said
        assert "if 0 is the object there and not the background, invert the masks." in said
    else:
        assert "inverted-masks" not in {p.kind for p in report.problems}


def run_counts(ids: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths of a mask: columns in turn, first of zeros."""
    flat = ids.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    return np.diff([0, *edges, flat.size]).tolist()


def test_several_classes_may_fill_their_masks(tmp_path: Path) -> None:
    masks = {name: grey(1 + (tag == "dog")) for name, tag in TWO.items()}
    report = check_dataset(params(folder(tmp_path, TWO, masks)))
    assert "inverted-masks" not in {p.kind for p in report.problems}


@pytest.mark.parametrize(
    ("tags", "said"), [("cdcd", "2 masks (b, d) black and white"), ("cccc", None), ("c  c", None)]
)
def test_white_of_one_bit_is_no_class_among_several(
    tmp_path: Path, tags: str, said: str | None
) -> None:
    words = {"c": "cat", "d": "dog", " ": ""}
    white = grey(0, 255).convert("1")
    root = folder(
        tmp_path,
        dict(zip("abcd", map(words.__getitem__, tags), strict=True)),
        dict.fromkeys("abcd", white),
    )
    (root / "classes.txt").write_text("cat\ndog\n")
    found = [p.message for p in check_dataset(params(root)).problems if p.kind == "black-and-white"]
    assert [said in message for message in found if said] == [True] * bool(said)
    assert bool(found) == bool(said)
