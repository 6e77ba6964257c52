"""What stands out in a result, and what to turn: the first thing that a report says.

Nothing here needs torch, and most of it no mask: shares of background, missing tags and flat CAMs
are told by the labels alone. Thresholds are set so that a sound run sets none of them off.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from weaktr.metrics.image_table import LabelRow, PredictionRow

EDGE = 99.5
"""Share of an image, in percent, from which a label counts as nothing but background or class."""
FLAT = 0.2
"""A CAM whose contrast is below this names no place: its brightest spot is at most half as bright
again as its darkest."""
MANY = 0.02
"""Share of images, or of tags, from which something is no exception any more."""
LOSES_TAGS = 0.1
"""Share of the tags that labels may miss: small and hidden things are missed in sound runs too."""
CHANCE = 1.5
"""Average precision below this many times the share of images with the tag is near guessing."""
POOR_TAGS = 60.0
"""Tag mAP in percent under which CAMs have little to stand on."""
BEHIND = 2.0
"""Points of mIoU that seeds and machines may cost, as users of this field report."""
SCORE_COST = 2.0
"""Points of mIoU that another background score would gain, from which it is worth a word."""
NAMED = 4
"""Names that a finding lists."""


@dataclass(frozen=True)
class Finding:
    """Something that stands out.

    Attributes:
        title: What, in one line.
        detail: How much, where.
        turn: What to change; backticks around params.
        serious: Whether results cannot be trusted before it is mended.
    """

    title: str
    detail: str
    turn: str
    serious: bool = False


@dataclass(frozen=True)
class TagRow:
    """How well the CAM network knows a tag: average precision in percent (NaN where no image has
    it), images that carry it, images it was found in, and both."""

    name: str
    average_precision: float
    given: int
    predicted: int
    both: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What findings are drawn from; what a run does not have stays empty.

    Attributes:
        classes: All class names.
        labels: The pseudo-labels that the segmenter learned from.
        predictions: The evaluated images.
        split: Of the predictions.
        tags: On the split that tags were scored on.
        tag_images: Images of that split.
        seed: Kind of CAM that the labels are made of.
        background_score: Of the labels.
        train_miou: mIoU in percent of `coarse`, the seed and `pseudo_labels`, by these names.
        optimum: For each seed the best `background_score` by the masks, and its `miou`.
        steps: mIoU in percent of the segmenter after each step, in their order.
        behind: For each metric that has a published value: ours and that.
    """

    classes: Sequence[str]
    labels: Sequence[LabelRow] = ()
    predictions: Sequence[PredictionRow] = ()
    split: str = "val"
    tags: Sequence[TagRow] = ()
    tag_images: int = 0
    seed: str = "fine"
    background_score: float = math.nan
    train_miou: Mapping[str, float] = field(default_factory=dict)
    optimum: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)
    behind: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def findings(evidence: Evidence) -> list[Finding]:
    """What stands out: serious things first, otherwise in the order of the pipeline."""
    found = [
        *_published(evidence),
        *_tags(evidence),
        *label_findings(evidence.labels, evidence.classes, evidence.background_score),
        *_measured_labels(evidence),
        *_predictions(evidence),
    ]
    return sorted(found, key=lambda one: not one.serious)


def label_findings(
    rows: Sequence[LabelRow], classes: Sequence[str], background_score: float
) -> list[Finding]:
    """What stands out in pseudo-labels, told without any mask.

    Args:
        rows: One per label.
        classes: All class names.
        background_score: The score that made them.
    """
    tagged = [row for row in rows if row.tags]
    if not tagged:
        return []
    score = f"`labels.background_score`, now {background_score:g}"
    found = []
    empty = [row.id for row in tagged if row.background >= EDGE]
    if len(empty) >= MANY * len(tagged):
        found.append(
            Finding(
                f"{_count(empty, 'label')} of {len(tagged)} hold nothing but background",
                f"Such as {_names(empty)}.",
                f"Lower {score}.",
                serious=len(empty) >= len(tagged) / 2,
            )
        )
    full = [row.id for row in tagged if row.foreground >= EDGE]
    if len(full) >= MANY * len(tagged):
        found.append(
            Finding(
                f"{_count(full, 'label')} of {len(tagged)} hold no background",
                f"Such as {_names(full)}.",
                f"Raise {score}, unless objects do fill these images.",
                serious=len(full) >= len(tagged) / 2,
            )
        )
    labelled = {tag for row in tagged for tag in row.tags if tag not in row.missing}
    lost = [name for name in classes if name not in labelled]
    if lost:
        found.append(
            Finding(
                f"{_count(lost, 'class', 'classes')} in no label: {_names(lost)}",
                "The segmenter can never predict what no label holds.",
                f"Look at the tags of these classes (`weaktr check-data`), then lower {score}.",
                serious=True,
            )
        )
    flat = [row.id for row in tagged if row.contrast < FLAT]
    if len(flat) >= MANY * len(tagged):
        found.append(
            Finding(
                f"{_count(flat, 'image')} of {len(tagged)} have a CAM without contrast",
                f"It is about as bright everywhere, so that its label is chance: {_names(flat)}.",
                "Train the CAM network longer (`cam.epochs`) or from better weights "
                "(`cam.backbone`); if the coarse CAMs in the pictures do show the object, set "
                "`labels.affinity` to false.",
                serious=len(flat) >= len(tagged) / 2,
            )
        )
    given, missing = (
        sum(len(value) for value in values)
        for values in ([row.tags for row in tagged], [row.missing for row in tagged])
    )
    if missing > LOSES_TAGS * given:
        found.append(
            Finding(
                f"Labels miss {missing} of {given} tags",
                "An image says that it shows something, and no pixel of its label does.",
                f"Lower {score}, or look at the pictures of the least confident labels.",
            )
        )
    return found


def _published(evidence: Evidence) -> list[Finding]:
    """The first step that falls behind its published value."""
    for name, (ours, published) in evidence.behind.items():
        if ours < published - BEHIND:
            return [
                Finding(
                    f"{name} is {published - ours:.1f} points behind the published {published:.1f}",
                    "It is the first step that falls behind, so look there or before it. Seeds "
                    f"and machines alone cost up to about {BEHIND:.0f} points.",
                    "Compare the params below with the recipe's, and the data with "
                    "docs/recipes.md.",
                    serious=True,
                )
            ]
    return []


def _tags(evidence: Evidence) -> list[Finding]:
    scored = [row for row in evidence.tags if not math.isnan(row.average_precision)]
    if not scored or not evidence.tag_images:
        return []
    mean = sum(row.average_precision for row in scored) / len(scored)
    found = []
    if mean < POOR_TAGS:
        found.append(
            Finding(
                f"The CAM network hardly knows the tags: mAP {mean:.1f}",
                "CAMs show where it found what it knows; nothing after it can be better.",
                "More `cam.epochs`, pretrained weights (`cam.backbone.weights`), another `cam.lr`.",
                serious=True,
            )
        )
    guessed = [
        row.name
        for row in scored
        if row.average_precision < min(90, CHANCE * 100 * row.given / evidence.tag_images)
    ]
    if guessed and len(evidence.classes) > 1:
        found.append(
            Finding(
                f"Tags that are little more than guessed: {_names(guessed)}",
                "Their average precision is near the share of images that carry them.",
                "Check their tags; give them more images; see whether they always come together "
                "with another class, which tags cannot tell apart.",
            )
        )
    return found


def _measured_labels(evidence: Evidence) -> list[Finding]:
    """What only true masks tell of CAMs and labels."""
    miou, found = evidence.train_miou, []
    coarse, seed, label = (miou.get(k) for k in ("coarse", evidence.seed, "pseudo_labels"))
    if coarse is not None and seed is not None and seed < coarse - BEHIND:
        found.append(
            Finding(
                f"The {evidence.seed} CAM is worse than the coarse one",
                f"mIoU {seed:.1f} against {coarse:.1f}: attention spreads instead of sharpening.",
                "Lower `cam.backbone_lr_scale` or `cam.lr`, so that a pretrained ViT keeps its "
                "attention; or set `labels.affinity` to false.",
                serious=True,
            )
        )
    best = evidence.optimum.get(evidence.seed)
    if best and seed is not None and best["miou"] > seed + SCORE_COST:
        found.append(
            Finding(
                f"The background score costs {best['miou'] - seed:.1f} points",
                f"By the masks of training images {best['background_score']:g} would be best "
                f"(mIoU {best['miou']:.1f}), and it is {evidence.background_score:g}.",
                "To stay with tags alone, choose `labels.background_score` by the pictures; taking "
                "the best one, or `sweep`, lets masks in, and the report says so.",
            )
        )
    if seed is not None and label is not None and label < seed - 0.5:
        found.append(
            Finding(
                f"The CRF makes labels worse by {seed - label:.1f} points",
                f"mIoU {seed:.1f} before and {label:.1f} after it.",
                "Weaken it (`labels.crf.bilateral_compat`, `labels.crf.confidence`), or set "
                "`labels.crf.backend` to none.",
            )
        )
    return found


def _predictions(evidence: Evidence) -> list[Finding]:
    found = []
    rows = evidence.predictions
    empty = [row.id for row in rows if row.tags and row.background >= EDGE]
    if rows and len(empty) >= max(1, MANY * len(rows)):
        found.append(
            Finding(
                f"Nothing was found in {_count(empty, 'image')} of {len(rows)} ({evidence.split})",
                f"They have tags, and their masks are background: {_names(empty)}.",
                "If pseudo-labels are fine, train longer (`decoder.epochs`); if they too lack "
                "the objects, lower `labels.background_score`.",
                serious=len(empty) >= len(rows) / 2,
            )
        )
    tagged = {tag for row in rows for tag in row.tags}
    predicted = {name for row in rows for name in row.predicted}
    never = [name for name in evidence.classes if name in tagged - predicted]
    if never:
        found.append(
            Finding(
                f"Never predicted on {evidence.split}: {_names(never)}",
                "Images of the split carry these tags.",
                "See how they look in the pseudo-labels; rare classes need more images.",
                serious=True,
            )
        )
    names = list(evidence.steps)
    for before, after in pairwise(names):
        loss = evidence.steps[before] - evidence.steps[after]
        if loss > 0.5:
            what = {"multi_scale": "scales and flips", "crf": "the CRF"}.get(after, after)
            key = {"multi_scale": "evaluation.scales", "crf": "evaluation.crf"}.get(after, after)
            found.append(
                Finding(
                    f"Masks get worse by {loss:.1f} points through {what}",
                    f"mIoU {evidence.steps[before]:.1f} before and {evidence.steps[after]:.1f} "
                    "after.",
                    f"Change `{key}`: only `evaluate` and what follows it run again.",
                )
            )
    return found


def _count(values: Sequence[str], noun: str, plural: str = "") -> str:
    return f"{len(values)} {noun if len(values) == 1 else plural or noun + 's'}"


def _names(values: Sequence[str]) -> str:
    more = len(values) - NAMED
    return ", ".join(values[:NAMED]) + (f" and {more} more" if more > 0 else "")
