"""What speaks against a label, in numbers and in words."""

import math

import numpy as np
import pytest

from weaktr.data.manifest import Record
from weaktr.review.doubt import Doubt, doubt_of, ranked

CLASSES = ("cat", "dog", "cow")


def record(name: str = "a", tags: tuple[str, ...] = ("cat",)) -> Record:
    return Record(name, f"{name}.png", "train", tags, 10, 10, "")


def painted(*spans: tuple[int, int]) -> np.ndarray:
    """Ids `[10, 10]`: each id on so many rows, from the top."""
    rows = [id_ for id_, count in spans for _ in range(count)]
    return np.repeat(np.array(rows, np.uint8)[:, None], 10, axis=1)


def doubt(name: str, **changes: object) -> Doubt:
    values = {
        "confidence": 0.5,
        "agreement": 0.8,
        "missing": (),
        "extra": {},
        "background": 0.5,
        "void": 0.0,
    }
    return Doubt(record=record(name), **(values | changes))  # type: ignore[arg-type]


def test_agreement_is_the_mean_iou_of_label_and_segmenter_without_void() -> None:
    label = painted((0, 4), (1, 4), (255, 2))
    prediction = painted((0, 2), (1, 6), (2, 2))
    found = doubt_of(record(), label, prediction, CLASSES, 0.5)
    assert found.agreement == pytest.approx((2 / 4 + 4 / 6) / 2)
    assert found.extra == {"dog": pytest.approx(0.2)}
    assert [found.background, found.void] == pytest.approx([0.4, 0.2])
    assert found.doubt == pytest.approx(1 - 0.5 * found.agreement)


def test_missing_tags_count_by_their_share() -> None:
    label = painted((0, 5), (1, 5))
    found = doubt_of(record(tags=("cat", "dog")), label, label, CLASSES, 1.0)
    assert found.missing == ("dog",)
    assert found.doubt == pytest.approx(0.5)
    untagged = doubt_of(record(tags=()), label, label, CLASSES, math.nan)
    assert untagged.doubt == 0


def test_a_label_without_its_only_tag_or_all_void_is_as_doubtful_as_can_be() -> None:
    nothing, void = painted((0, 10)), painted((255, 10))
    first = doubt_of(record(), nothing, nothing, CLASSES, 1.0)
    second = doubt_of(record(), void, nothing, CLASSES, 1.0)
    assert first.doubt == second.doubt == 1
    said = [one.reasons[0] for one in ranked([first, second])]
    assert sorted(said) == ["all background", "all void"]


def test_the_most_doubtful_come_first_and_reasons_name_what_is_low_among_all() -> None:
    doubts = [
        doubt(f"fine{i}", confidence=0.5 + i / 50, agreement=0.8 + i / 100) for i in range(17)
    ]
    doubts += [
        doubt("unsure", confidence=0.1, agreement=0.9),
        doubt("apart", confidence=0.6, agreement=0.1, extra={"cow": 0.125}),
        doubt("lacking", confidence=0.7, missing=("cat",), agreement=0.85),
    ]
    ranking = ranked(doubts)
    assert [one.doubt.record.id for one in ranking[:3]] == ["lacking", "apart", "unsure"]
    assert [one.rank for one in ranking] == list(range(1, 21))
    assert ranking[0].reasons == ("tag missing in the label: cat",)
    assert ranking[1].reasons == (
        "segmenter sees cow in 12% of the image, the label does not",
        "label and segmenter agree by 10% (IoU)",
    )
    assert "CAMs unsure: confidence 0.10" in ranking[2].reasons
    assert all(one.reasons for one in ranking)
    assert ranked(list(reversed(doubts))) == ranking
