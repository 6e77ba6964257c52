"""Manifests survive being written and read, and damaged ones are refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaktr.data.manifest import (
    MAX_CLASSES,
    Manifest,
    MaskRecord,
    Record,
    check_classes,
    load_masks,
    save_masks,
)
from weaktr.errors import UserError

CLASSES = ("cat", "dog", "zebra crossing")


def record(id_: str = "a", tags: tuple[str, ...] = ("dog",), split: str = "train") -> Record:
    return Record(id_, f"data/{id_}.jpg", split, tags, 20, 10, "0" * 32)


# Names that `check-data` lets pass: printable, with spaces, commas, quotes and any script.
printable = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=20
)
class_names = printable.map(str.strip).filter(
    lambda name: name and name != "background" and not set(name) & set(";,|")
)
quick = settings(max_examples=60, deadline=None)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    classes = tuple(draw(st.lists(class_names, min_size=1, max_size=5, unique=True)))
    tags = st.sets(st.sampled_from(classes)).map(
        lambda found: tuple(name for name in classes if name in found)
    )
    side = st.integers(1, 10**6)
    records = st.builds(Record, printable, printable, printable, tags, side, side, printable)
    return Manifest(classes, tuple(draw(st.lists(records, max_size=6))))


@quick
@given(manifests())
def test_a_manifest_reads_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    manifest.save(folder)
    first = (folder / "manifest.csv").read_bytes()
    assert Manifest.load(folder) == manifest
    Manifest.load(folder).save(folder)
    assert (folder / "manifest.csv").read_bytes() == first


@quick
@given(st.dictionaries(printable, st.tuples(printable, printable), max_size=6))
def test_masks_read_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("masks")
    save_masks(folder, {id_: MaskRecord(id_, *rest) for id_, rest in found.items()})
    assert load_masks(folder) == {id_: mask for id_, (mask, _) in found.items()}


def test_masks_are_written_in_the_order_of_ids(tmp_path: Path) -> None:
    one, two = MaskRecord("a", "x.png", "0"), MaskRecord("b", "y.png", "1")
    save_masks(tmp_path / "1", {"b": two, "a": one})
    save_masks(tmp_path / "2", {"a": one, "b": two})
    text = (tmp_path / "1" / "masks.csv").read_text()
    assert text == (tmp_path / "2" / "masks.csv").read_text()
    assert text.splitlines() == ["id,mask,digest", "a,x.png,0", "b,y.png,1"]


def test_the_files_are_plain_text(tmp_path: Path) -> None:
    Manifest(CLASSES, (record(tags=("cat", "zebra crossing")),)).save(tmp_path)
    assert (tmp_path / "classes.txt").read_bytes() == b"cat\ndog\nzebra crossing\n"
    assert (tmp_path / "manifest.csv").read_text().splitlines() == [
        "id,image,split,tags,width,height,digest",
        f"a,data/a.jpg,train,cat;zebra crossing,20,10,{'0' * 32}",
    ]


def test_targets_follow_the_class_list() -> None:
    manifest = Manifest(CLASSES, (record(tags=("zebra crossing", "cat")), record("b", ())))
    targets = manifest.targets()
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, [[1, 0, 1], [0, 0, 0]])


def test_of_split_keeps_order_and_classes() -> None:
    manifest = Manifest(
        CLASSES, (record("c"), record("a", split="val"), record("b"), record("d", split="val"))
    )
    assert [r.id for r in manifest.of_split("val")] == ["a", "d"]
    assert manifest.of_split("val").classes == CLASSES
    assert len(manifest.of_split("test")) == 0
    assert manifest.of_split("test").targets().shape == (0, 3)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "gives no classes"),
        (("cat", "cat"), "names a class twice"),
        (("cat", "background"), "`background`"),
        (("cat;dog",), "cannot stand in a list of tags"),
        (("cat,dog",), "cannot stand in a list of tags"),
        (("cat|dog",), "cannot stand in a list of tags"),
        ((" cat",), "cannot stand in a list of tags"),
        (("",), "cannot stand in a list of tags"),
        (("a\nb",), "cannot stand in a list of tags"),
        (tuple(f"c{i}" for i in range(MAX_CLASSES + 1)), "too many classes"),
    ],
)
def test_impossible_class_lists_are_refused(names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check_classes(names, where="here")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("manifest.csv", None, "does not exist"),
        ("classes.txt", None, "does not exist"),
        ("manifest.csv", b"", "does not start with the columns"),
        ("manifest.csv", b"id,image\n", "does not start with the columns"),
        ("manifest.csv", b"\xff\xfe\x00", "not a CSV file in UTF-8"),
        ("classes.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("classes.txt", b"cat\n", "a tag that is not in classes.txt"),
        ("manifest.csv", b"id,image,split,tags,width,height,digest\na,b\n", "2 of 7 columns"),
        (
            "manifest.csv",
            b"id,image,split,tags,width,height,digest\na,b,train,,x,1,d\n",
            "a size that is not a number",
        ),
        (
            "manifest.csv",
            b"id,image,split,tags,width,height,digest\na,b,train,,1,1,d\nb,c,train,,1,1,d7",
            "ends within a line, as if it had been cut",
        ),
    ],
)
def test_damaged_manifests_are_refused(
    tmp_path: Path, file: str, content: bytes | None, sentence: str
) -> None:
    Manifest(CLASSES, (record(),)).save(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        Manifest.load(tmp_path)
