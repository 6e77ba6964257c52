"""The steps from tags to masks with their published values, and why one usually falls behind.

The reasons are what users of published code in this field report, in its issue trackers, and what
was found here; each comes with what to turn.
"""

import math
from dataclasses import dataclass

from weaktr.experiments.recipes import Recipe


@dataclass(frozen=True)
class Reason:
    """Why a step may fall behind, and what to turn or to look at."""

    why: str
    turn: str


@dataclass(frozen=True)
class Rung:
    """One step.

    Attributes:
        metric: Its name in `metrics.json`.
        step: What is measured, and on what.
        published: mIoU in percent; NaN where the paper gives none.
        reasons: Why it may be lower here.
    """

    metric: str
    step: str
    published: float
    reasons: tuple[Reason, ...]


DATA = {
    "voc": Reason(
        "Training images are 10,582 with SBD's masks in place, 1,449 in val; tags come from the "
        "XML files.",
        "weaktr check-data",
    ),
    "coco": Reason(
        "Training images are 82,081 with tags, 40,504 in val; ids of COCO's 80 classes have gaps, "
        "and shift in home-made lists.",
        "weaktr check-data",
    ),
}
STEPS: dict[str, tuple[str, tuple[Reason, ...]]] = {
    "map_val": (
        "tags of val, mean average precision",
        (
            Reason(
                "Weights that are not the pretrained ones, or a rate for another batch: cam.lr "
                "counts for 512 images a step.",
                "cam.backbone.weights; cam.accumulate where the batch must be smaller",
            ),
        ),
    ),
    "miou_seed": (
        "fine CAMs of train before the CRF ('CAM')",
        (
            Reason(
                "The published code chooses epoch and background score by true training masks, and "
                "for VOC 2012 scores the 1,464 images of its own train list.",
                "'+recipes=[NAME,select-with-masks]' puts the choice back",
            ),
            Reason(
                "Two points between seeds or kinds of GPU are usual; the authors' advice is to "
                "tune rate and epochs.",
                "seed=0,1,2 first; then cam.lr, cam.epochs",
            ),
        ),
    ),
    "miou_labels": (
        "pseudo-labels of train after the CRF ('Mask')",
        (
            Reason(
                "A background score that does not fit these CAMs; a CRF for other image sizes.",
                "labels.background_score (the report has the best one by masks), labels.crf",
            ),
        ),
    ),
    "miou_train": (
        "segmenter's masks of train ('pseudo-mask')",
        (
            Reason(
                "It is measured only when asked for.",
                "evaluation.split=train, after which val is one dvc repro away",
            ),
        ),
    ),
    "miou_val": (
        "segmenter on val, all scales, flips, CRF",
        (
            Reason(
                "One scale, or no CRF, gives less; the report has each step.",
                "evaluation.scales, evaluation.flip, evaluation.crf",
            ),
            Reason(
                "The encoder's pretraining is worth four points; loading it under other settings "
                "cost a user of the released checkpoint five.",
                "decoder.backbone; weaktr import-checkpoint checks every tensor",
            ),
            Reason(
                "Clipping that starts before the classes are learned removes the foreground.",
                "decoder.start_value: lower, or null",
            ),
        ),
    ),
}


def ladder(recipe: Recipe, kind: str) -> list[Rung]:
    """The steps of a recipe with published values; empty for one that has none.

    Args:
        recipe: A whole recipe.
        kind: `dataset.kind` that it sets.
    """
    published = recipe.about.published
    if not published:
        return []
    rungs: list[Rung] = []
    for metric, (step, reasons) in STEPS.items():
        first = (DATA[kind],) if not rungs and kind in DATA else ()
        value = published.get(metric, math.nan)
        named = tuple(
            Reason(reason.why, reason.turn.replace("NAME", recipe.name)) for reason in reasons
        )
        rungs.append(Rung(metric, step, value, (*first, *named)))
    return rungs
