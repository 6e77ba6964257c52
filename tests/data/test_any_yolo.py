"""Whatever YOLO's labels look like: refused with a sentence, or read as the plain way does."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oracles import data_sets
from tests.data.generated import HEIGHT, WIDTH, checked, picture, shapes, within_seconds
from tests.tiny_data import box
from weaktr.data.masks import read_mask


def yolo_line(number: int, corners: list[list[float]]) -> str:
    shares = (n / (HEIGHT if i % 2 else WIDTH) for i, n in enumerate(corners[0]))
    return " ".join([str(number), *map(str, shares)])


yolo_lines = st.one_of(
    st.tuples(st.sampled_from([0, 1]), shapes).map(lambda one: yolo_line(*one)),
    st.tuples(st.sampled_from([0, 1]), shapes).map(lambda one: yolo_line(*one)),
    st.sampled_from(
        ["0 0.5 0.5 0.5 0.5", "", "1 0.5 0.5 0.5 0.5 ", "0 0.25 0.5 0.5 0.5 0.75 0.5"] * 3
        + [
            "2 0 0 1 0 1 1",
            "cat 0 0 1 0 1 1",
            "0 0 0 1 0 1",
            "0 1 2 3 4 5 6",
            "0",
            "1 nan 0 1 0 1 1",
        ]
    ),
)
yolo_files = st.lists(
    st.one_of(st.none(), st.lists(yolo_lines, max_size=3)), min_size=1, max_size=4
)


@within_seconds
@given(
    yolo_files, yolo_files, st.sampled_from(["utf-8", "utf-8-sig"]), st.sampled_from(["\n", "\r\n"])
)
@example(
    train=[None],
    val=[["0 0.0 0.0 0.25 0.0 0.25 0.5 0.0 0.5", yolo_line(1, [[1, 2, 7, 2, 7, 3, 1, 3]])]],
    encoding="utf-8",
    end="\n",
)
def test_yolo_labels(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[list[str] | None],
    val: list[list[str] | None],
    encoding: str,
    end: str,
) -> None:
    root = tmp_path_factory.mktemp("yolo")
    both = [yolo_line(0, box(0, 0, 3, 3)), yolo_line(1, box(4, 3, 8, 6))]
    for split, files, first in (("train", [both, *train], 0), ("val", [both, *val], 10)):
        (root / "labels" / split).mkdir(parents=True)
        for number, lines in enumerate(files, start=first):
            picture(root / "images" / split / f"{number}.png")
            if lines is not None:
                text = end.join(lines).encode(encoding)
                (root / "labels" / split / f"{number}.txt").write_bytes(text)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [dog, cat]\n")
    reading = data_sets.yolo(root, ["dog", "cat"], (HEIGHT, WIDTH))
    report = checked(root, kind="yolo")
    if reading is None:
        assert report.errors
    if report.errors or reading is None:
        return
    masks = report.write_masks(root / "masks")
    found = {Path(r.image).stem: (frozenset(r.tags), r.id) for r in report.manifest}
    assert {name: tags for name, (tags, _) in found.items()} == {
        name: tags for name, (tags, _) in reading.items()
    }
    for name, (_, mask) in reading.items():
        id_ = found[name][1]
        if mask is None:
            assert id_ not in masks
        else:
            np.testing.assert_array_equal(read_mask(masks[id_].mask), mask)
