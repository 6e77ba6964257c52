"""Images of a result through all steps: what was stored of them, and the CAMs made again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stages.common.corrected_facts import corrected_facts
from stages.common.paths import PREDICTIONS, PSEUDO_LABELS
from stages.common.words import counted
from weaktr.config.labels import LabelParams
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_mask
from weaktr.labels import Pixels
from weaktr.metrics.image_table import LabelRow, PredictionRow
from weaktr.models.cam_network import CAMNetwork
from weaktr.pseudo_labels.example import ExampleMaps, example_maps
from weaktr.pseudo_labels.image_label import working_image
from weaktr.report.content import Panel, Panels, chosen_ranks
from weaktr.report.pictures import Painter, label_ids
from weaktr.segmentation.voc_server import VOC_TEST_FOLDER

AnyRow = TypeVar("AnyRow", LabelRow, PredictionRow)
EACH = 2
"""Images of each rank."""
LOST_FIRST = "those in which no tag was found first"


@dataclass
class PanelMaker:
    """Makes the panels of a result.

    Args:
        manifest: All splits.
        masks: Path of the true mask of each image that has one.
        params: The `labels` section.
        background_score: Of the labels.
        model: The CAM network, or `None` where labels were not made from CAMs.
    """

    manifest: Manifest
    masks: Mapping[str, str]
    params: LabelParams
    background_score: float = math.nan
    model: CAMNetwork | None = None

    def evaluated(self, rows: Sequence[PredictionRow], split: str) -> Panels:
        """Images of the evaluated split: what was found, and what the labels would be."""
        measured, ranked = _ranked(rows)
        panels = []
        for row, rank in ranked:
            facts = [f"IoU {row.iou:.1f} %"] if measured else []
            facts += [f"confidence {row.confidence:.2f}", f"found: {_list(row.predicted)}"]
            facts += [f"tags: {_list(row.tags)}"] if row.tags else []
            prediction = _stored(PREDICTIONS, row.id)
            panels.append(self._panel(row.id, rank, facts, prediction=prediction))
        by = (
            "mIoU of the single image"
            if measured
            else f"mean probability of the pixels' labels, {LOST_FIRST}"
        )
        intro = f"By {by}. "
        if self.model is not None and split != "train":
            intro += (
                "These images trained nothing: CAMs and pseudo-label are what they would be, made "
                "for this picture from the image's tags."
            )
        if not any(PREDICTIONS.rglob("*.png")):
            intro += " Predictions were not kept (`evaluation.save_masks`), so none are shown."
        return Panels(f"Evaluated images ({split})", intro, panels)

    def training(self, rows: Sequence[LabelRow]) -> Panels:
        """Training images: what the segmenter learned from."""
        measured, ranked = _ranked(rows)
        panels = []
        for row, rank in ranked:
            facts = [f"label's IoU {row.iou:.1f} %"] if measured else []
            if row.tags:
                facts += [f"confidence {row.confidence:.2f}", f"contrast {row.contrast:.2f}"]
            facts += [f"tags: {_list(row.tags)}"]
            facts += [f"not in the label: {_list(row.missing)}"] if row.missing else []
            panels.append(self._panel(row.id, rank, facts, label=_stored(PSEUDO_LABELS, row.id)))
        by = (
            "mIoU of the label"
            if measured
            else f"distance of the CAM from the background score, {LOST_FIRST}"
        )
        intro = (
            f"What the segmenter learned from, by {by}. In a CAM the colour is stronger where the "
            f"score is higher; the contour is where it passes the background score, "
            f"{self.background_score:g}. The label is that after the CRF."
        )
        if replaced := corrected_facts()["masks"]:
            intro += (
                f" Of {counted(replaced, 'image')} the segmenter learned from a corrected mask "
                "instead, which is not shown."
            )
        return Panels("Training images", intro, panels)

    def _panel(
        self,
        name: str,
        rank: str,
        facts: Sequence[str],
        *,
        label: Pixels | None = None,
        prediction: Pixels | None = None,
    ) -> Panel:
        record = next(one for one in self.manifest if one.id == name)
        image = working_image(record, self.params)
        paint = Painter(name, image, self.manifest.classes)
        pictures = [paint.plain()]
        painted: frozenset[int] = frozenset()
        if (maps := self._maps(record, image)) is not None:
            present = _indices(self.manifest, record)
            painted = frozenset(index + 1 for index in present)
            pictures.append(paint.cams("coarse CAM", maps.coarse, present, self.background_score))
            seed = "fine CAM" if self.params.affinity else "fused CAM"
            pictures.append(paint.cams(seed, maps.seed, present, self.background_score))
            label = maps.label if label is None else label
        truth = read_mask(self.masks[name]) if name in self.masks else None
        shown = {"pseudo-label": label, "prediction": prediction, "true mask": truth}
        pictures += [paint.labels(step, ids) for step, ids in shown.items() if ids is not None]
        return Panel(name, rank, facts, pictures, painted | label_ids(*shown.values()))

    def _maps(self, record: Record, image: Pixels) -> ExampleMaps | None:
        if self.model is None or not record.tags:
            return None
        present = _indices(self.manifest, record)
        return example_maps(self.model, image, present, self.params, self.background_score)


def _indices(manifest: Manifest, record: Record) -> list[int]:
    """The classes of an image's tags, 0-based, ascending."""
    return [index for index, name in enumerate(manifest.classes) if name in record.tags]


def _ranked(rows: Sequence[AnyRow]) -> tuple[bool, list[tuple[AnyRow, str]]]:
    """Whether true masks decide the rank, and the rows to show, each with its rank."""
    measured = any(not math.isnan(row.iou) for row in rows)
    values = [row.iou if measured else _trust(row) for row in rows]
    names = ("worst", "best") if measured else ("least confident", "most confident")
    return measured, [(rows[index], rank) for index, rank in chosen_ranks(values, EACH, names)]


def _trust(row: LabelRow | PredictionRow) -> float:
    """Confidence; below all others where no tag was found, as one can be sure of background too."""
    return -1.0 if row.tags and len(row.missing) == len(row.tags) else row.confidence


def _stored(folder: Path, name: str) -> Pixels | None:
    """A label map that a stage wrote; `None` where it was told to write none."""
    places = (folder / f"{name}.png", folder / VOC_TEST_FOLDER / f"{name}.png")
    return next((read_mask(place) for place in places if place.is_file()), None)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
