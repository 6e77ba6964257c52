"""What the report tells of the stages that led to a result."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.common.label_source import Source
from stages.common.paths import PSEUDO_LABELS, REPORTS
from stages.common.words import counted
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.files import read_json
from weaktr.models.cam_kinds import SEEDS
from weaktr.report.html import Example

STEPS = {**{kind.name: kind.title for kind in SEEDS}, "pseudo_labels": "pseudo-labels"}
"""Steps before the segmenter, by their key in the details of `export_labels`."""


def seed_chain(source: Source) -> list[tuple[str, float]]:
    """mIoU of the steps before the segmenter, on the training split, where masks measured them."""
    if source != "pseudo-labels":
        return []
    details = read_json(REPORTS / "export_labels" / "details.json")
    metrics = {
        "coarse": "miou_coarse",
        details["seed"]: "miou_seed",
        "pseudo_labels": "miou_labels",
    }
    return [
        (step_title(title, "train", metrics.get(step)), details["miou"][step])
        for step, title in STEPS.items()
        if step in details["miou"]
    ]


def step_title(step: str, split: str, metric: str | None) -> str:
    """`pseudo-labels on train (miou_labels)`: with the name that the metric has everywhere."""
    return f"{step} on {split}" + (f" ({metric})" if metric else "")


def corrected_facts() -> dict[str, Any]:
    """What `train_decoder` wrote of corrected masks."""
    facts = read_json(REPORTS / "train_decoder" / "details.json")["corrected"]
    assert isinstance(facts, dict)
    return facts


def mask_notes(source: Source, labels_from: str) -> list[str]:
    """Which true masks influenced the result, those among them that a person corrected."""
    corrected = corrected_facts()
    uses = []
    if corrected["masks"]:
        uses.append(
            f"{counted(corrected['masks'], 'corrected mask')} (data/corrected/"
            f"{corrected['folder']}) trained the segmenter in place of label maps."
        )
    if source == "true masks":
        return ["Supervised reference: the segmenter was trained on the true masks.", *uses]
    if source == "other label maps":
        made = f"The segmenter was trained on {labels_from}, which this pipeline did not make."
        return [made, *uses]
    seeds = read_json(REPORTS / "export_labels" / "details.json")
    if read_json(REPORTS / "train_cam" / "details.json")["selected_with_masks"]:
        uses.append("True masks of training images chose the epoch of the CAM network.")
    if seeds["background_score_chosen_with_masks"]:
        uses.append("True masks of training images chose the background score.")
    score = f"Background score: {seeds['background_score']:g}."
    measured = "True masks measured; they influenced nothing."
    if not seeds["images_with_masks"]:
        measured = "No training image has a true mask: CAMs and pseudo-labels are not measured."
    return [*(uses or [measured]), score]


def curves(trainers: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Training curves by stage."""
    return {stage: pd.read_csv(REPORTS / stage / "curves.csv") for stage in trainers}


def pseudo_label_examples(
    manifest: Manifest, masks: Mapping[str, str], count: int
) -> list[Example]:
    """The first training images with their pseudo-labels."""
    return [
        Example(
            np.array(read_image(record.image)),
            read_mask(PSEUDO_LABELS / f"{record.id}.png"),
            read_mask(masks[record.id]) if record.id in masks else None,
        )
        for record in manifest.of_split("train").records[:count]
    ]
