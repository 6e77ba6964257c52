"""Gathers what the report tells from the outputs of the stages."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stages.common.evidence import (
    details,
    ladder,
    mask_notes,
    origin,
    result_findings,
    tag_rows,
)
from stages.common.label_source import label_source
from stages.common.panels import PanelMaker
from stages.common.paths import CAM_MODEL, CLASSES, IMAGES, MANIFEST, PIXELS, PREPARED, REPORTS
from stages.common.words import counted
from weaktr.config.keys import all_keys
from weaktr.config.params import Params
from weaktr.data.manifest import Manifest, load_masks
from weaktr.experiments.naming import Origin, flat_params, recipe_params, short
from weaktr.experiments.recipes import list_recipes
from weaktr.files import digest_files, digest_value, read_json
from weaktr.heads.atlas import choose_images, make_atlas
from weaktr.heads.words import chance
from weaktr.metrics.image_table import (
    LabelRow,
    PredictionRow,
    read_label_rows,
    read_prediction_rows,
)
from weaktr.metrics.scores import Counts, scores
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model
from weaktr.report.content import Heads, ParamRow, Report

HEAD_IMAGES = 24
"""Training images on which attention heads are looked at."""

Curves = tuple[list[int], dict[str, list[float]]]


def gather(params: Params, device: str) -> Report:
    """Everything that the report of the present result tells.

    Args:
        params: Of the result.
        device: Torch device for the few images whose CAMs are shown.
    """
    manifest, masks = Manifest.load(PREPARED), load_masks(PREPARED)
    source = label_source(params.decoder.labels_from)
    tags_only = source == "pseudo-labels"
    evaluated = details("evaluate")
    split = evaluated["split"]
    predictions = read_prediction_rows(REPORTS / "evaluate" / IMAGES)
    labels = read_label_rows(REPORTS / "export_labels" / IMAGES) if tags_only else []
    maker = PanelMaker(manifest, masks, params.labels)
    if tags_only:
        maker.background_score = details("export_labels")["background_score"]
        maker.model = load_model(CAM_MODEL, CAMNetwork, device).model
    panels = [maker.evaluated(predictions, split)]
    panels += [maker.training(labels)] if tags_only else []
    tag_split, tags = tag_rows() if tags_only else ("", [])
    matrix = _matrix(REPORTS / "evaluate" / PIXELS)
    names = ("background", *manifest.classes)
    made_from = origin(params)
    curves = trainer_curves("train_cam", "CAM network") if tags_only else {}
    curves |= trainer_curves("train_decoder", "Segmenter")
    steps = ladder(params)
    floor = read_json(REPORTS / "prepare" / "summary.json").get("colour_floor_miou")
    marks = [("colour alone, with all true masks (floor)", floor)] if floor is not None else []
    return Report(
        title=f"{Path(params.dataset.root).name}: masks from {'tags' if tags_only else source}",
        summary=_summary(manifest, split, predictions),
        classes=manifest.classes,
        tiles=_tiles(predictions, labels, split),
        findings=result_findings(params, len(manifest.of_split(tag_split)) if tag_split else 0),
        notes=mask_notes(source, params.decoder.labels_from),
        ladder=steps,
        marks=marks if steps else [],
        panels=panels,
        scores=scores(matrix, names) if matrix.any() else None,
        matrix=matrix if matrix.any() else None,
        shares=_shares(labels, predictions, split),
        tags=tags,
        tag_split=tag_split,
        curves=curves,
        heads=_heads(maker.model, manifest) if maker.model is not None else None,
        recipe=made_from.recipe,
        from_recipe=made_from.is_known,
        params=_differences(params, made_from),
        all_params=[(key, short(value)) for key, value in flat_params(params).items()],
        provenance=_provenance(params),
    )


def _summary(manifest: Manifest, split: str, rows: Sequence[PredictionRow]) -> str:
    training = counted(len(manifest.of_split("train")), "training image")
    measured = sum(not math.isnan(row.iou) for row in rows)
    truth = f"{measured:,} of them with a true mask" if measured else "none with a true mask"
    return f"{training}, {counted(len(rows), 'image')} of {split} evaluated, {truth}."


def _tiles(
    predictions: Sequence[PredictionRow], labels: Sequence[LabelRow], split: str
) -> list[tuple[str, str]]:
    """The numbers on top: those of masks where there are any, else what labels alone tell."""
    metrics: dict[str, float] = {}
    for stage in ("train_cam", "export_labels", "evaluate") if labels else ("evaluate",):
        metrics |= read_json(REPORTS / stage / "metrics.json")
    words = {
        f"miou_{split}": f"mIoU on {split}, %",
        "miou_labels": "mIoU of pseudo-labels, %",
        "miou_seed": "mIoU of the CAM seed, %",
    }
    tiles = [(f"{metrics[name]:.1f}", what) for name, what in words.items() if name in metrics]
    tiles += [
        (f"{value:.1f}", f"mAP of tags on {name.removeprefix('map_')}, %")
        for name, value in metrics.items()
        if name.startswith("map_")
    ]
    if f"miou_{split}" not in metrics:
        given = sum(len(row.tags) for row in predictions)
        missing = sum(len(row.missing) for row in predictions)
        if given:
            share = 100 * (given - missing) / given
            tiles.append((f"{share:.0f} %", f"of the tags of {split} were found in its masks"))
        mean = sum(row.background for row in predictions) / len(predictions)
        tiles.append((f"{mean:.0f} %", f"of the masks of {split} is background"))
    return tiles


def _heads(model: CAMNetwork, manifest: Manifest) -> Heads | None:
    """What attention heads do on some training images; none of their masks is looked at."""
    images = choose_images(manifest.of_split("train"), HEAD_IMAGES)
    if not images:
        return None
    atlas = make_atlas(model, images, manifest.classes)
    orders = atlas.correlations()
    return Heads(
        images=len(images),
        made_from_lift=model.params.fusion == "lift",
        weight=atlas.weight,
        spread=atlas.weight_spread,
        class_row=atlas.class_row,
        affinity=atlas.affinity,
        class_row_order=orders["weight, class row"],
        affinity_order=orders["weight, affinity"],
        chance=chance(atlas.weight.size),
    )


def _shares(
    labels: Sequence[LabelRow], predictions: Sequence[PredictionRow], split: str
) -> dict[str, list[tuple[str, str]]]:
    """What label maps hold, for pseudo-labels and predictions side by side."""
    table: dict[str, list[tuple[str, str]]] = {}

    def mean(values: Iterator[float]) -> str:
        known = [value for value in values if not math.isnan(value)]
        return f"{sum(known) / len(known):.1f}" if known else "–"

    def add(name: str, rows: Sequence[LabelRow] | Sequence[PredictionRow], measure: str) -> None:
        given = sum(len(row.tags) for row in rows)
        missing = sum(len(row.missing) for row in rows)
        facts = {
            "images": f"{len(rows):,}",
            "background, mean share (%)": mean(row.background for row in rows),
            "images with nothing but background": str(sum(r.background >= 99.5 for r in rows)),
            "images without background": str(sum(r.background <= 0.5 for r in rows)),
            "tags given": f"{given:,}",
            "tags that no pixel has": f"{missing:,}",
            measure: mean(100 * row.confidence for row in rows),
        }
        for what, value in facts.items():
            table.setdefault(what, []).append((name, value))

    if labels:
        add("pseudo-labels (train)", labels, "distance from the background score, mean (%)")
    add(f"masks ({split})", predictions, "probability of the pixels' labels, mean (%)")
    if labels:
        void = sum(row.void for row in labels) / len(labels)
        table["void, mean share (%)"] = [("pseudo-labels (train)", f"{void:.1f}")]
    return table


def trainer_curves(stage: str, title: str) -> dict[str, Curves]:
    """A trainer's losses, the sum last, and the shares that clipping left out, by their heading."""
    with (REPORTS / stage / "curves.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))

    def values(name: str) -> list[float]:
        return [float(row[name]) for row in rows]

    epochs = [int(row["epoch"]) for row in rows]
    names = [name for name in rows[0] if name.startswith("loss_")] or ["loss"]
    losses = {name.removeprefix("loss_").replace("_", " "): values(name) for name in names}
    drawn = {f"{title}: loss": (epochs, losses)}
    if "clipped" in rows[0] and any(values("clipped")):
        shares = {"labelled pixels": values("clipped"), "objects": values("clipped_objects")}
        drawn[f"{title}: share that clipping left out"] = (epochs, shares)
    return drawn


def _matrix(path: Path) -> Counts:
    """The confusion matrix `[K, K]` in pixels, as `evaluate` wrote it."""
    with path.open(encoding="utf-8", newline="") as stream:
        _, *rows = csv.reader(stream)
    return np.array([[int(value) for value in row[1:]] for row in rows], np.int64)


def _differences(params: Params, made_from: Origin) -> list[ParamRow]:
    """Where the params differ from the recipe's."""
    if not made_from.changes:
        return []
    usual = recipe_params(made_from.recipes, list_recipes())
    meanings = {key.path: key.meaning for key in all_keys()}
    return [
        ParamRow(key, short(usual.get(key)), short(value), meanings.get(key, ""))
        for key, value in made_from.changes.items()
    ]


def _provenance(params: Params) -> list[tuple[str, str]]:
    """Digests of what the result was made of."""
    code = Path("code.json")
    digests = read_json(code) if code.is_file() else {}
    return [
        ("data", f"{params.dataset.root}, manifest {digest_files([MANIFEST, CLASSES])[:12]}"),
        ("params", digest_value(flat_params(params))[:12]),
        *((f"code of {stage}", digest) for stage, digest in digests.items()),
    ]
