"""How doubtful a pseudo-label is, by three signs that need no true mask.

A label is doubtful where the CAMs that it was made of are unsure, where it lacks a tag of its
image, and where the segmenter that learned from all labels sees something else in the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from weaktr.data.manifest import Record
from weaktr.labels import BACKGROUND, VOID, Pixels
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.image_table import shares, without
from weaktr.metrics.scores import mean_iou

SEEN = 0.01
"""A class that the segmenter sees in less than this share of an image is not worth a word."""
LOWEST = 0.1
"""Confidence and agreement are given as reasons in this share of the images, the lowest ones."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What speaks against the label of one image.

    Attributes:
        record: The image.
        confidence: Of the CAMs that the label was made of, 0 to 1; NaN where it is not known.
        agreement: Mean IoU of label and segmenter over the labels in either, 0 to 1, void pixels
            left out; 0 where all pixels are void.
        missing: Tags that no pixel of the label has.
        extra: Classes that the segmenter sees and the label lacks: name -> share of the image.
        background: Share of background pixels in the label.
        void: Share of void pixels in the label.
    """

    record: Record
    confidence: float
    agreement: float
    missing: tuple[str, ...]
    extra: dict[str, float]
    background: float
    void: float

    @property
    def doubt(self) -> float:
        """From 0 to 1: one minus confidence, agreement and share of tags found, multiplied."""
        tags = len(self.record.tags)
        found = 1 - len(self.missing) / tags if tags else 1.0
        confidence = 1.0 if math.isnan(self.confidence) else self.confidence
        return 1 - confidence * self.agreement * found


@dataclass(frozen=True)
class Ranked:
    """A label in its place.

    Attributes:
        rank: From 1, the most doubtful first.
        doubt: What speaks against it.
        reasons: The same in words, the strongest first.
    """

    rank: int
    doubt: Doubt
    reasons: tuple[str, ...]


def doubt_of(
    record: Record,
    label: Pixels,
    prediction: Pixels,
    classes: Sequence[str],
    confidence: float,
) -> Doubt:
    """Compares a label with its image's tags and with what the segmenter sees.

    Args:
        record: The image.
        label: Ids `[H, W]`.
        prediction: The segmenter's `[H, W]`, any class allowed.
        classes: Names without background.
        confidence: Of the label's CAMs; NaN where it is not known.
    """
    confusion = ConfusionMatrix(len(classes) + 1)
    confusion.update(torch.from_numpy(prediction), torch.from_numpy(label))
    iou = float(mean_iou(confusion.matrix()))
    background, void, labelled = shares(label, classes)
    counts = np.bincount(prediction.ravel(), minlength=VOID + 1) / prediction.size
    seen = {name: float(counts[i]) for i, name in enumerate(classes, start=BACKGROUND + 1)}
    return Doubt(
        record=record,
        confidence=confidence,
        agreement=0.0 if math.isnan(iou) else iou / 100,
        missing=without(record.tags, labelled),
        extra={n: share for n, share in seen.items() if share >= SEEN and n not in labelled},
        background=background / 100,
        void=void / 100,
    )


def ranked(doubts: Sequence[Doubt]) -> list[Ranked]:
    """The labels in the order of doubt, with reasons; equal ones in the order of ids."""
    ordered = sorted(doubts, key=lambda one: (-one.doubt, one.agreement, one.record.id))
    unsure = _lowest([one.confidence for one in doubts if not math.isnan(one.confidence)])
    apart = _lowest([one.agreement for one in doubts])
    return [
        Ranked(rank, one, tuple(reasons(one, unsure=unsure, apart=apart)))
        for rank, one in enumerate(ordered, start=1)
    ]


def reasons(one: Doubt, *, unsure: float, apart: float) -> list[str]:
    """What speaks against a label, in words; at least one thing.

    Args:
        one: The label.
        unsure: Highest confidence that is a reason.
        apart: Highest agreement that is a reason.
    """
    said = []
    if one.void == 1:
        said.append("all void")
    elif one.record.tags and one.background == 1:
        said.append("all background")
    if one.missing and one.background < 1 and one.void < 1:
        tags = "tag" if len(one.missing) == 1 else "tags"
        said.append(f"{tags} missing in the label: {', '.join(one.missing)}")
    said += [
        f"segmenter sees {name} in {share:.0%} of the image, the label does not"
        for name, share in sorted(one.extra.items(), key=lambda item: -item[1])
    ]
    agreement = f"label and segmenter agree by {one.agreement:.0%} (IoU)"
    if one.agreement <= apart:
        said.append(agreement)
    if one.confidence <= unsure:
        said.append(f"CAMs unsure: confidence {one.confidence:.2f}")
    return said or [agreement]


def _lowest(values: Sequence[float]) -> float:
    """The value that `LOWEST` of them do not exceed; nothing is below it where there are none."""
    return float(np.quantile(values, LOWEST)) if values else -math.inf
