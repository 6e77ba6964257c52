import math
from dataclasses import replace

import pytest

from weaktr.metrics.image_table import LabelRow, PredictionRow
from weaktr.report.evidence import Evidence, TagRow
from weaktr.report.findings import findings, label_findings

GOOD = LabelRow(
    id="a",
    background=60.0,
    void=0.0,
    foreground=40.0,
    confidence=0.5,
    contrast=0.9,
    tags=("cat",),
    missing=(),
    iou=math.nan,
)
COW = replace(GOOD, id="b", tags=("cow",))
FOUND = PredictionRow(
    id="a",
    background=60.0,
    foreground=40.0,
    confidence=0.9,
    tags=("cat",),
    predicted=("cat",),
    missing=(),
    unexpected=(),
    iou=math.nan,
)
CLASSES = ("cat", "cow")


def titles(rows: list[LabelRow]) -> list[str]:
    return [one.title for one in label_findings(rows, CLASSES, 0.4)]


def test_sound_labels_set_nothing_off() -> None:
    assert titles([GOOD, COW] * 50) == []
    assert titles([]) == []


@pytest.mark.parametrize(
    ("bad", "title", "turn"),
    [
        ({"background": 100.0, "foreground": 0.0}, "3 labels of 53 hold nothing but back", "Lower"),
        ({"background": 0.0, "foreground": 100.0}, "3 labels of 53 hold no background", "Raise"),
        ({"contrast": 0.1}, "3 images of 53 with a CAM without contrast", "cam.epochs"),
    ],
)
def test_labels_that_say_nothing_are_found(bad: dict[str, float], title: str, turn: str) -> None:
    rows = [GOOD, COW] * 25 + [replace(GOOD, id=str(i), **bad) for i in range(3)]  # type: ignore[arg-type]
    (found,) = label_findings(rows, CLASSES, 0.4)
    assert found.title.startswith(title)
    assert turn in found.turn
    assert not found.serious


def test_a_class_in_no_label_is_serious() -> None:
    lost = replace(COW, missing=("cow",))
    first, second = label_findings([GOOD] * 4 + [lost], CLASSES, 0.4)
    assert first.title == "1 class in no label: cow"
    assert first.serious
    assert second.title == "Labels miss 1 of 5 tags"


def test_the_first_step_behind_its_published_value_is_named() -> None:
    behind = {"miou_seed": (60.0, 69.4), "miou_val": (50.0, 74.0)}
    (found,) = findings(Evidence(classes=CLASSES, behind=behind))
    assert found.title == "miou_seed is 9.4 points behind the published 69.4"
    assert found.serious
    assert findings(Evidence(classes=CLASSES, behind={"miou_seed": (68.0, 69.4)})) == []


def test_tags_that_are_guessed_are_found() -> None:
    tags = [TagRow("cat", 99.0, 50, 50, 49), TagRow("cow", 55.0, 50, 0, 0)]
    (found,) = findings(Evidence(classes=CLASSES, tags=tags, tag_images=100))
    assert found.title == "Tags that are little more than guessed: cow"
    tags[0] = replace(tags[0], average_precision=40.0)
    first, _ = findings(Evidence(classes=CLASSES, tags=tags, tag_images=100))
    assert first.title == "The CAM network hardly knows the tags: mAP 47.5"


def test_masks_tell_where_labels_lose() -> None:
    evidence = Evidence(
        classes=CLASSES,
        background_score=0.4,
        train_miou={"coarse": 60.0, "fine": 50.0, "pseudo_labels": 45.0},
        optimum={"fine": {"background_score": 0.6, "miou": 58.0}},
        steps={"single_scale": 50.0, "multi_scale": 52.0, "crf": 48.0},
    )
    found = [one.title for one in findings(evidence)]
    assert found == [
        "The fine CAM is worse than the coarse one",
        "The background score costs 8.0 points",
        "The CRF makes labels worse by 5.0 points",
        "Masks get worse by 4.0 points through the CRF",
    ]


def test_predictions_of_nothing_are_found() -> None:
    nothing = replace(FOUND, background=100.0, foreground=0.0, predicted=(), missing=("cat",))
    rows = [FOUND] * 40 + [nothing, replace(nothing, tags=("cow",))]
    found = findings(Evidence(classes=CLASSES, predictions=rows))
    assert [one.title for one in found] == [
        "Never predicted on val: cow",
        "Nothing was found in 2 images of 42 (val)",
    ]
    assert findings(Evidence(classes=CLASSES, predictions=[FOUND] * 5)) == []


def test_masks_without_background_are_found() -> None:
    full = replace(FOUND, background=0.0, foreground=100.0)
    (found,) = findings(Evidence(classes=("cat",), predictions=[FOUND, full, full]))
    assert found.title == "2 masks of 3 hold no background (val)"
    assert found.serious
    assert "pseudo-labels" not in found.turn
    labelled = Evidence(classes=("cat",), predictions=[full], labels=[GOOD])
    assert "`labels.background_score`" in findings(labelled)[0].turn


def test_a_segmenter_that_learned_little_is_found() -> None:
    evidence = Evidence(
        classes=CLASSES,
        train_miou={"pseudo_labels": 60.0},
        steps={"single_scale": 40.0, "multi_scale": 40.0},
        class_iou={"background": 80.0, "cat": math.nan, "cow": 3.0},
    )
    found = findings(evidence)
    assert [one.title for one in found] == [
        "The segmenter is 20.0 points below its labels",
        "1 class hardly segmented on val",
    ]
    assert "cow 3.0" in found[1].detail
    near = replace(evidence, train_miou={"pseudo_labels": 50.0}, class_iou={"cat": 30.0})
    assert findings(near) == []


def test_a_flat_cam_whose_label_is_measured_to_be_good_is_no_finding() -> None:
    flat = replace(GOOD, contrast=0.1)
    assert titles([COW, flat]) == ["1 image of 2 with a CAM without contrast"]
    assert titles([COW, replace(flat, iou=20.0)]) == ["1 image of 2 with a CAM without contrast"]
    assert titles([COW, replace(flat, iou=80.0)]) == []


def test_clipping_that_gives_objects_up_is_found_and_plain_cross_entropy_is_not() -> None:
    (found,) = findings(Evidence(classes=CLASSES, clipped_objects=0.52, start_value=1.2))
    assert found.serious
    assert "52 % of the pixels labelled as a class" in found.title
    assert "`decoder.start_value`, now 1.2" in found.turn
    assert findings(Evidence(classes=CLASSES, clipped_objects=0.29, start_value=1.2)) == []
    assert findings(Evidence(classes=CLASSES, clipped_objects=0.52, start_value=None)) == []
    assert findings(Evidence(classes=CLASSES, clipped_objects=0.30, start_value=1.2))


def test_clipping_is_to_be_mended_before_the_training_is_made_longer() -> None:
    below = Evidence(
        classes=CLASSES,
        predictions=[replace(FOUND, background=100.0)],
        train_miou={"pseudo_labels": 80.0},
        steps={"segmenter": 30.0},
    )
    clipped = replace(below, clipped_objects=0.5, start_value=1.2)
    first, *others = findings(clipped)
    assert first.title.startswith("Clipping left out")
    both = [found for found in others if found.turn.startswith("Mend first what clipping")]
    assert len(both) == 2
    assert len([found for found in findings(below) if "rain" in found.turn]) == 2
