"""What stands out in a result, and what to turn: the first thing that a report says.

Nothing here needs torch, and most of it no mask: shares of background, missing tags and flat CAMs
are told by the labels alone. Thresholds are set so that a sound run sets none of them off.
"""

import math
from collections.abc import Sequence

from weaktr.metrics.image_table import LabelRow
from weaktr.report.evidence import EDGE, MANY, Evidence, Finding, count, names, verb
from weaktr.report.mask_findings import (
    clipping_findings,
    measured_findings,
    prediction_findings,
)

FLAT = 0.2
"""A CAM whose contrast is below this names no place: its brightest spot is at most half as bright
again as its darkest."""
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
GOOD = 50.0
"""IoU in percent from which a label shows its object, however its CAM came to it."""


def findings(evidence: Evidence) -> list[Finding]:
    """What stands out: serious things first, otherwise in the order of the pipeline."""
    found = [
        *_published(evidence),
        *_tags(evidence),
        *label_findings(evidence.labels, evidence.classes, evidence.background_score),
        *_measured_labels(evidence),
        *clipping_findings(evidence),
        *prediction_findings(evidence),
        *measured_findings(evidence),
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
                f"{count(empty, 'label')} of {len(tagged)} {verb(empty, 'hold')} nothing but "
                "background",
                f"Such as {names(empty)}.",
                f"Lower {score}.",
                serious=len(empty) >= len(tagged) / 2,
            )
        )
    full = [row.id for row in tagged if row.foreground >= EDGE]
    if len(full) >= MANY * len(tagged):
        found.append(
            Finding(
                f"{count(full, 'label')} of {len(tagged)} {verb(full, 'hold')} no background",
                f"Such as {names(full)}.",
                f"Raise {score}, unless objects do fill these images.",
                serious=len(full) >= len(tagged) / 2,
            )
        )
    labelled = {tag for row in tagged for tag in row.tags if tag not in row.missing}
    lost = [name for name in classes if name not in labelled]
    if lost:
        found.append(
            Finding(
                f"{count(lost, 'class', 'classes')} in no label: {names(lost)}",
                "The segmenter can never predict what no label holds.",
                f"Look at the tags of these classes (`weaktr check-data`), then lower {score}.",
                serious=True,
            )
        )
    flat = [row.id for row in tagged if row.contrast < FLAT and not row.iou >= GOOD]
    if len(flat) >= MANY * len(tagged):
        found.append(
            Finding(
                f"{count(flat, 'image')} of {len(tagged)} with a CAM without contrast",
                "It is about as bright everywhere, so that little more than chance made its label: "
                f"{names(flat)}.",
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
                f"Tags that are little more than guessed: {names(guessed)}",
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
