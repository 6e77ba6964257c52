"""YOLO's layout: data.yaml, images and labels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_data import HEIGHT, WIDTH, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import Report, check_dataset
from weaktr.data.masks import read_mask

YAML = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: dog\n  1: cat\n"
LEFT = "1 0 0 0.5 0 0.5 1 0 1"
"""A cat on the left half."""
CORNER = "0 0 0 0.25 0 0.25 0.5 0 0.5"
"""A dog in the upper left corner."""
BOX = "0 0.5 0.5 0.2 0.2"
LABELS = {
    "train/a": CORNER,
    "train/b": f"{LEFT}\n{BOX}\n",
    "val/c": f"{CORNER}\n{LEFT}",
    "val/d": "",
}


def write(root: Path, labels: Mapping[str, str | None] = LABELS, yaml: str | None = YAML) -> Path:
    for seed, (name, text) in enumerate(labels.items()):
        write_image(root / "images" / f"{name}.jpg", seed=seed)
        path = root / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_text(text)
    if yaml is not None:
        (root / "data.yaml").write_text(yaml)
    return root


def checked(root: Path, **more: object) -> Report:
    return check_dataset(DatasetParams(kind="yolo", root=str(root), **more))  # type: ignore[arg-type]


def said(report: Report) -> str:
    return "\n".join(problem.message for problem in report.problems)


def error(report: Report) -> str:
    assert report.errors
    return report.errors[0].message


def test_tags_masks_and_splits(tmp_path: Path) -> None:
    report = checked(write(tmp_path))
    assert not report.errors
    assert report.manifest.classes == ("dog", "cat")
    found = {record.id: (record.split, record.tags) for record in report.manifest}
    assert found == {
        "train__a": ("train", ("dog",)),
        "train__b": ("train", ("dog", "cat")),
        "val__c": ("val", ("dog", "cat")),
        "val__d": ("val", ()),
    }
    masks = report.write_masks(tmp_path / "out")
    assert set(masks) == {"train__a", "val__c", "val__d"}  # b has a box.
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, : WIDTH // 2] = 2
    expected[: HEIGHT // 2, : WIDTH // 4] = 1  # The small one lies on top.
    np.testing.assert_array_equal(read_mask(masks["val__c"].mask), expected)
    assert not read_mask(masks["val__d"].mask).any()
    assert "no mask: 1 (image 'images/train/b.jpg')" in said(report)


def test_boxes_alone_are_tags_and_nothing_is_measured(tmp_path: Path) -> None:
    report = checked(
        write(tmp_path, {"train/a": f"{BOX}\n1 0.5 0.5 1 1", "val/b": BOX, "val/c": ""})
    )
    assert not report.errors
    assert [record.tags for record in report.manifest] == [("dog", "cat"), ("dog",), ()]
    assert report.masks == []


def test_shares_are_those_of_the_image_as_shown(tmp_path: Path) -> None:
    root = write(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "images/val/c.jpg").save(root / "images/val/c.jpg", exif=exif)
    masks = checked(root).write_masks(tmp_path / "out")
    mask = read_mask(masks["val__c"].mask)
    assert mask.shape == (WIDTH, HEIGHT)
    assert (mask[:, : HEIGHT // 2] > 0).all()
    assert not mask[:, HEIGHT // 2 :].any()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "2 0 0 1 0 1 1",
            "line 1 has a class that is none of 0 to 1, as data.yaml has them. Got: '2",
        ),
        ("-1 0 0 1 0 1 1", "has a class that is none of 0 to 1"),
        ("0.5 0 0 1 0 1 1", "has a class that is none of 0 to 1"),
        ("dog 0 0 1 0 1 1", "line 1 has what is no number. Got: 'dog 0 0"),
        ("0 0 0 1 0 1 nan", "has what is no number"),
        ("0,0,0,1,0,1,1", "has what is no number"),
        ("0", "is neither a class with a box (four numbers) nor one with corners"),
        ("0 0 0 1 0 1", "nor one with corners"),
        ("0 0.5 0.5 1 1 0.93", "a confidence at its end does not belong there"),
        ("0 10 10 90 10 90 90", "numbers that are no shares of the image's sides, from 0 to 1"),
        ("0 0.5 0.5 -0.3 0.2", "numbers that are no shares"),
    ],
)
def test_broken_lines_are_refused_by_file_and_line(
    tmp_path: Path, line: str, sentence: str
) -> None:
    report = checked(write(tmp_path, {**LABELS, "train/a": line}))
    assert error(report).startswith(f"{tmp_path / 'labels/train/a.txt'} line 1 ")
    assert sentence in error(report)


def test_broken_files_are_counted(tmp_path: Path) -> None:
    report = checked(write(tmp_path, {**LABELS, "train/a": f"{CORNER}\nx", "val/c": "x"}))
    assert "a.txt line 2 has what is no number. Got: 'x' (the first of 2 broken files)." in error(
        report
    )
    (tmp_path / "labels/train/a.txt").write_bytes(b"\xff\xfe0")
    assert "a.txt is not text that can be read" in error(checked(tmp_path))


def test_polygons_that_reach_out_a_little_are_cut_and_counted(tmp_path: Path) -> None:
    lines = {**LABELS, "val/c": "1 -0.03 0 0.5 0 0.5 1.02 -0.03 1"}
    report = checked(write(tmp_path, lines))
    assert "cut at its edge: 1 (labels/val/c.txt line 1)" in said(report)
    mask = read_mask(report.write_masks(tmp_path / "out")["val__c"].mask)
    assert (mask[:, : WIDTH // 2] == 2).all()


def test_polygons_without_pixels_leave_their_image_without_a_mask(tmp_path: Path) -> None:
    report = checked(write(tmp_path, {**LABELS, "val/c": "1 0.1 0.1 0.5 0.5 0.9 0.9"}))
    assert "val__c" not in {plan.id for plan in report.masks}
    assert next(r for r in report.manifest if r.id == "val__c").tags == ("cat",)


def test_images_without_a_label_file_stay_out(tmp_path: Path) -> None:
    report = checked(write(tmp_path, {**LABELS, "train/e": None, "val/f": None}))
    assert len(report.manifest) == 4
    assert (
        "without a label file, which stay out, as nobody knows whether they were looked at: 2 of 6 "
        "(images/train/e.jpg, images/val/f.jpg; the first would be labels/train/e.txt)"
    ) in said(report)
    assert checked(write(tmp_path / "none", dict.fromkeys(LABELS))).errors


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        (
            None,
            "has no data.yaml with `train`, `val` and `names` of the classes, nor a classes.txt",
        ),
        ("- 1", "has no `train`, `val` and `names`, as YOLO's"),
        ("a: [", "is not valid YAML"),
        (YAML + "names: [x]", "'names' a second time"),
        (YAML.replace("  1: cat", "  0: cat"), "gives '0' a second time"),
        (
            YAML.replace("  1: cat", "  2: cat"),
            "must run from 0 without a gap; mend them. Got: 0, 2.",
        ),
        (YAML.replace("cat", "no"), "a class whose name YAML does not read as text; write it in"),
        (YAML.replace("cat", "dog"), "names a class twice"),
        (YAML + "nc: 3\n", "has nc: 3 and 2 names; one of them is wrong"),
        (YAML.split("names")[0], "has no `names` of the classes"),
        (YAML.replace("train: images/train\n", ""), "names no images for training"),
        (
            YAML.replace("images/val", "images/nowhere"),
            "has val: images/nowhere, where there are no",
        ),
        (
            YAML.replace("images/val", "/elsewhere/val"),
            "has val: /elsewhere/val, where there are no",
        ),
        (
            YAML.replace("images/val", "[images/val, images/train]"),
            "is in the splits train and val",
        ),
        (YAML.replace("images/val", "3"), "`val` must name a folder or a list of images. Got: 3."),
    ],
)
def test_a_data_yaml_that_contradicts_itself_is_refused(
    tmp_path: Path, yaml: str | None, sentence: str
) -> None:
    assert sentence in error(checked(write(tmp_path, yaml=yaml)))


@pytest.mark.parametrize("folder", ["", "../"])
def test_splits_as_roboflow_writes_them(tmp_path: Path, folder: str) -> None:
    for split, name in (("train", "a"), ("valid", "b")):
        write_image(tmp_path / split / "images" / f"{name}.jpg", seed=len(split))
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{name}.txt").write_text(f"{LEFT}\n{CORNER}")
    (tmp_path / "data.yaml").write_text(
        f"train: {folder}train/images\nval: {folder}valid/images\ntest: {folder}test/images\n"
        "nc: 2\nnames: [dog, cat]\n"
    )
    report = checked(tmp_path)
    assert not report.errors
    assert [(Path(r.image).name, r.split) for r in report.manifest] == [
        ("a.jpg", "train"),
        ("b.jpg", "val"),
    ]


def test_splits_as_lists_of_images(tmp_path: Path) -> None:
    root = write(tmp_path, yaml=YAML.replace("images/train", "train.txt"))
    (root / "train.txt").write_text("./images/train/a.jpg\n/far/away/images/train/b.jpg\n")
    report = checked(root)
    assert [r.id for r in report.manifest.of_split("train")] == ["train__a", "train__b"]
    (root / "train.txt").write_text("images/train/z.jpg\n")
    assert "train.txt line 1 names an image that is not below" in error(checked(root))


def test_one_folder_for_all_splits_is_no_split(tmp_path: Path) -> None:
    yaml = YAML.replace("images/train", "images").replace("images/val", "images")
    lines = {f"{n}": f"{CORNER}\n{LEFT}" for n in range(10)}
    report = checked(write(tmp_path, lines, yaml), val_share=0.2)
    assert len(report.manifest.of_split("val")) == 2
    assert any("tells no splits apart" in note for note in report.notes)
    alone = checked(tmp_path, val_split="", val_share=0.0)
    assert len(alone.manifest.of_split("train")) == 10


def test_classes_txt_alone_as_label_studio_exports(tmp_path: Path) -> None:
    root = write(tmp_path, {"a": f"{CORNER}\n{LEFT}", "b": ""}, yaml=None)
    (root / "classes.txt").write_text("dog\ncat\n\n")
    report = checked(root, val_share=0)
    assert not report.errors
    assert [(r.id, r.tags) for r in report.manifest] == [("a", ("dog", "cat")), ("b", ())]


def test_key_points_are_no_corners(tmp_path: Path) -> None:
    line = f"{BOX} 0.1 0.1 2 0.3 0.3 1"
    lines = {"train/a": f"{line}\n1{line[1:]}", "val/b": line}
    report = checked(write(tmp_path, lines, f"{YAML}kpt_shape: [2, 3]\n"))
    assert not report.errors
    assert report.masks == []


def test_polygons_that_may_all_be_boxes_are_said(tmp_path: Path) -> None:
    lines = {**LABELS, "train/b": "\n".join([LEFT] * 20)}
    assert "has 23 polygons, all of four corners, as boxes have" in said(
        checked(write(tmp_path, lines))
    )


def test_a_subset_of_the_classes(tmp_path: Path) -> None:
    report = checked(write(tmp_path), classes=("cat",))
    masks = report.write_masks(tmp_path / "out")
    assert set(np.unique(read_mask(masks["val__c"].mask))) == {0, 1, 255}


def test_label_files_of_no_image_are_said(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "labels/train/z.txt").write_text(LEFT)
    (root / "labels/classes.txt").write_text("dog")
    assert "label files of no image, which are not used: labels/train/z.txt." in said(checked(root))
