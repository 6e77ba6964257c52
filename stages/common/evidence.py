"""What the stages' own reports tell of a result; nothing here needs torch."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.common.corrected_facts import corrected_facts
from stages.common.label_source import Source, label_source
from stages.common.paths import CLASSES, IMAGES, REPORTS
from stages.common.words import counted
from weaktr.config.params import Params
from weaktr.experiments.naming import Origin, origin_of
from weaktr.experiments.recipes import list_recipes
from weaktr.files import read_json
from weaktr.metrics.image_table import read_label_rows, read_prediction_rows
from weaktr.report.content import Step
from weaktr.report.evidence import Evidence, Finding, TagRow
from weaktr.report.findings import findings, label_findings
from weaktr.report.mask_findings import clipping_findings

STEP_TITLES = {
    "coarse": "coarse CAM",
    "fused": "fused CAM",
    "fine": "fine CAM",
    "pseudo_labels": "pseudo-labels",
    "single_scale": "segmenter, one scale",
    "multi_scale": "segmenter, all scales and flips",
    "crf": "segmenter, CRF",
}
"""Steps in the order of the pipeline, by their key in the stages' details."""
SEGMENTER_STEPS = ("single_scale", "multi_scale", "crf")


def details(stage: str) -> Any:
    """What a stage wrote of itself."""
    return read_json(REPORTS / stage / "details.json")


def origin(params: Params) -> Origin:
    """The recipe that the params come from; none where the project has no folder of recipes."""
    return origin_of(params, list_recipes() if Path("recipes").is_dir() else [])


def published(params: Params) -> dict[str, float]:
    """What the recipe's source reports, by the names in `metrics.json`."""
    if not Path("recipes").is_dir():
        return {}
    names = origin(params).recipes
    return {
        metric: value
        for recipe in list_recipes()
        if recipe.name in names[:1]
        for metric, value in recipe.about.published.items()
    }


def ladder(params: Params) -> list[Step]:
    """The steps that were measured, first on the training images, then on the evaluated split."""
    known = published(params)
    steps = []
    if label_source(params.decoder.labels_from) == "pseudo-labels":
        labels = details("export_labels")
        metrics = {
            "coarse": "miou_coarse",
            labels["seed"]: "miou_seed",
            "pseudo_labels": "miou_labels",
        }
        for key, title in STEP_TITLES.items():
            if key in labels["miou"]:
                metric = metrics.get(key, "")
                value = labels["miou"][key]
                steps.append(Step(title, "train", value, metric, known.get(metric, math.nan)))
    found = details("evaluate")
    if "mean_iou" in found:
        split = found["split"]
        metric = f"miou_{split}"
        taken = [key for key in SEGMENTER_STEPS if key in found["miou_by_step"]]
        steps += [Step(STEP_TITLES[key], split, found["miou_by_step"][key]) for key in taken[:-1]]
        title = STEP_TITLES[taken[-1]] if taken else "segmenter"
        value = found["mean_iou"]
        steps.append(Step(title, split, value, metric, known.get(metric, math.nan)))
    return steps


def tag_rows() -> tuple[str, list[TagRow]]:
    """The split that tags were scored on, and the scores of every class."""
    by_split = details("train_cam")["tags"]
    split = "val" if "val" in by_split else "train"
    rows = []
    for name, found in by_split[split].items():
        precision = found["average_precision"]
        precision = math.nan if precision is None else precision
        rows.append(TagRow(name, precision, found["given"], found["predicted"], found["both"]))
    return split, rows


def class_iou() -> dict[str, float]:
    """IoU of the segmenter by class, background among them; empty where nothing was measured."""
    with (REPORTS / "evaluate" / "per_class.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row["class"]: float(row["iou"] or "nan") for row in rows if "iou" in row}


def clipped_objects() -> float:
    """Share of the pixels labelled as a class that clipping left out, in the last epoch."""
    with (REPORTS / "train_decoder" / "curves.csv").open(encoding="utf-8", newline="") as stream:
        *_, last = csv.DictReader(stream)
    return float(last.get("clipped_objects", 0))


def evidence(params: Params, tag_images: int) -> Evidence:
    """What findings are drawn from.

    Args:
        params: Of the result.
        tag_images: Images of the split that tags were scored on.
    """
    classes = CLASSES.read_text(encoding="utf-8").splitlines()
    evaluated = details("evaluate")
    steps = evaluated.get("miou_by_step", {})
    behind = {
        step.metric: (step.miou, step.published)
        for step in ladder(params)
        if not math.isnan(step.published)
    }
    of_segmenter = Evidence(
        classes=classes,
        predictions=read_prediction_rows(REPORTS / "evaluate" / IMAGES),
        split=evaluated["split"],
        clipped_objects=clipped_objects(),
        start_value=params.decoder.start_value,
        steps={key: steps[key] for key in SEGMENTER_STEPS if key in steps},
        class_iou=class_iou(),
        behind=behind,
    )
    if label_source(params.decoder.labels_from) != "pseudo-labels":
        return of_segmenter
    labels = details("export_labels")
    return replace(
        of_segmenter,
        labels=read_label_rows(REPORTS / "export_labels" / IMAGES),
        tags=tag_rows()[1],
        tag_images=tag_images,
        seed=labels["seed"],
        background_score=labels["background_score"],
        train_miou=labels["miou"],
        optimum=labels["optimum_by_masks"],
    )


def result_findings(params: Params, tag_images: int) -> list[Finding]:
    """What stands out in the whole result."""
    return findings(evidence(params, tag_images))


def findings_after(stage: str, params: Params) -> list[Finding]:
    """What stands out in the outputs of one stage, as soon as they are there."""
    if stage == "train_decoder":
        start_value = params.decoder.start_value
        return clipping_findings(
            Evidence(classes=[], clipped_objects=clipped_objects(), start_value=start_value)
        )
    if stage != "export_labels":
        return []
    classes = CLASSES.read_text(encoding="utf-8").splitlines()
    rows = read_label_rows(REPORTS / "export_labels" / IMAGES)
    return label_findings(rows, classes, details("export_labels")["background_score"])


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
    seeds = details("export_labels")
    if details("train_cam")["selected_with_masks"]:
        uses.append("True masks of training images chose the epoch of the CAM network.")
    if seeds["background_score_chosen_with_masks"]:
        uses.append("True masks of training images chose the background score.")
    evaluated = "mean_iou" in details("evaluate")
    if not uses and (seeds["miou"] or evaluated):
        uses.append("True masks measured; they influenced nothing.")
    if not seeds["miou"]:
        uses.append("No training image has a true mask: CAMs and pseudo-labels are not measured.")
    if not evaluated:
        uses.append("No evaluated image has a true mask: the segmenter is not measured.")
    return [*uses, f"Background score: {seeds['background_score']:g}."]
