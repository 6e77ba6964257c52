"""`decoder.corrected`: masks of a person in place of pseudo-labels."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stages import train_decoder
from stages.common.terminal import result_text
from tests.tiny import contents, run_stages, tiny_params
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError

pytestmark = pytest.mark.slow

TRUTHS = Path("data/prepared/files/shapes/SegmentationClass")
WEIGHTS = "models/segmenter/model.safetensors"


def correct(name: str, images: list[str]) -> Path:
    """Lays true masks of some images as corrected ones."""
    folder = Path("data/corrected") / name
    folder.mkdir(parents=True)
    for image in images:
        shutil.copy(TRUTHS / f"{image}.png", folder)
    return folder


def training_images() -> list[str]:
    return sorted(path.stem for path in Path("data/pseudo-labels").glob("*.png"))


def test_corrected_masks_train_as_if_they_were_the_labels(workspace: Path) -> None:
    plain = contents(WEIGHTS)
    images = training_images()[:3]
    folder = correct("three", images)
    params = tiny_params(decoder__corrected="three")
    run_stages(params, ["train_decoder", "evaluate", "report", "summary"])
    with_masks = contents(WEIGHTS)
    assert with_masks != plain
    details = json.loads(Path("reports/train_decoder/details.json").read_text())
    assert details["corrected"] == {
        "folder": "three",
        "masks": 3,
        "same_as_label": 0,
        "beyond_tags": [],
    }
    report = Path("reports/report/report.html").read_text()
    assert "Of 3 images the segmenter learned from a corrected mask instead" in report
    assert "3 corrected masks (data/corrected/three) trained the segmenter" in report
    assert "influenced nothing" not in report
    metrics = json.loads(Path("metrics.json").read_text())
    assert metrics["corrected"] == 3
    assert "corrected          3   corrected masks that trained the segmenter" in result_text(
        metrics
    )
    for image in images:  # the same by another way
        shutil.copy(folder / f"{image}.png", "data/pseudo-labels")
    run_stages(tiny_params(), ["train_decoder"])
    assert contents(WEIGHTS) == with_masks
    run_stages(params, ["train_decoder"])
    details = json.loads(Path("reports/train_decoder/details.json").read_text())
    assert details["corrected"]["same_as_label"] == 3


def test_the_second_round_keeps_them(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = train_decoder.train_round

    def recorded(context, training, labels, *others):  # type: ignore[no-untyped-def]
        seen.append({name: read_mask(path) for name, path in labels.items()})
        return original(context, training, labels, *others)

    monkeypatch.setattr(train_decoder, "train_round", recorded)
    images = training_images()[:2]
    correct("two", images)
    run_stages(tiny_params(decoder__rounds=2, decoder__corrected="two"), ["train_decoder"])
    first, second = seen
    for labels in (first, second):
        assert all((labels[image] == read_mask(TRUTHS / f"{image}.png")).all() for image in images)
    others = set(first) - set(images)
    assert any((first[image] != second[image]).any() for image in others)


def test_a_checkpoint_of_other_corrected_masks_is_not_gone_on_from(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = training_images()[0]
    folder = correct("one", [image])
    names = []
    original = train_decoder.train_round

    def recorded(context, training, labels, orientations, checkpoint, *others):  # type: ignore[no-untyped-def]
        names.append(checkpoint.stem)
        return original(context, training, labels, orientations, checkpoint, *others)

    monkeypatch.setattr(train_decoder, "train_round", recorded)
    params = tiny_params(decoder__corrected="one")
    run_stages(params, ["train_decoder"])
    changed = read_mask(folder / f"{image}.png")
    changed[0, 0] = 255
    write_mask(folder / f"{image}.png", changed)
    run_stages(params, ["train_decoder"])
    run_stages(tiny_params(), ["train_decoder"])
    assert len(set(names)) == 3


def test_what_cannot_be_used_stops_before_any_training(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(train_decoder, "train_round", refused)
    held_out = next(iter(Path("data/predictions").glob("*.png"))).stem
    correct("leak", [held_out])
    with pytest.raises(UserError, match=f"image {held_out}, which is in the split val"):
        run_stages(tiny_params(decoder__corrected="leak"), ["train_decoder"])
    with pytest.raises(UserError, match="data/corrected/elsewhere is not a folder"):
        run_stages(tiny_params(decoder__corrected="elsewhere"), ["train_decoder"])
    write_mask("data/corrected/none/a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match="data/corrected/none holds masks, which"):
        run_stages(tiny_params(), ["train_decoder"])
