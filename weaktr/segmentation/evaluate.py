"""Evaluation of a segmenter on a split: masks out, counts in; a killed one goes on where it was."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaktr.config.evaluation import EvaluationParams
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_label_map, write_mask
from weaktr.distributed import gather, sum_counts
from weaktr.journal import ImageJournal
from weaktr.metrics.confusion import confusion
from weaktr.metrics.image_table import PredictionRow, row_of, shares, without
from weaktr.metrics.packed_counts import pack_counts, unpack_counts
from weaktr.metrics.scores import Counts, mean_iou
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.look import Seen
from weaktr.segmentation.records import each_record
from weaktr.segmentation.segment import Segmentation, decide
from weaktr.segmentation.sliding_window import InferenceSettings

RESULT = "result"
"""Names the counts of the last step, the result, beside those of each step."""


@dataclass(frozen=True)
class Evaluation:
    """What was counted on a split.

    Attributes:
        matrix: Pixels by true (row) and predicted (column) label `[K, K]`, of the images with a
            true mask; zeros where there are none.
        steps: The same after each step to the prediction (`weaktr.segmentation.segment.STEPS`).
        rows: What was found in each image, in the order of the manifest.
    """

    matrix: Counts
    steps: dict[str, Counts]
    rows: list[PredictionRow]

    @property
    def measured(self) -> int:
        """Images with a true mask that has a labelled pixel."""
        return sum(not math.isnan(row.iou) for row in self.rows)


def evaluate(
    model: Segmenter,
    manifest: Manifest,
    masks: Mapping[str, str],
    params: EvaluationParams,
    journal: ImageJournal,
    *,
    threads: int,
) -> Evaluation:
    """Segments every image of a manifest and counts pixels where there is a true mask.

    Of several processes each has its share of the images, and all get the counts of all.

    Args:
        model: In evaluation mode.
        manifest: The images.
        masks: Path of the true mask of each image that has one.
        params: The `evaluation` section, with the precision as `choose_precision` gives it.
        journal: Gets what is found in each image; those that it has are not segmented again. One
            with a suffix gets palette PNGs too.
        threads: Images that are read and finished side by side while the network runs.
    """
    num_labels = len(manifest.classes) + 1
    shape = (num_labels, num_labels)
    total = np.zeros(shape, np.int64)
    steps: dict[str, Counts] = {}
    rows: dict[str, PredictionRow] = {}
    records = manifest.records

    def count(counts: Mapping[str, Counts]) -> None:
        for name, one in counts.items():
            into = total if name == RESULT else steps.setdefault(name, np.zeros(shape, np.int64))
            np.add(into, one, out=into)

    def take(id_: str, note: Any) -> None:
        row, counts = note
        rows[id_] = row_of(PredictionRow, row)
        count({name: unpack_counts(text, shape) for name, text in counts.items()})

    journal.resume(take)
    journal.tell(len(records))

    def finish(record: Record, seen: Seen) -> tuple[PredictionRow, dict[str, Counts]]:
        result, taken = decide(seen, params, stepwise=True)
        counts = {}
        if record.id in masks:
            height, width = seen.size
            truth = read_label_map(masks[record.id], num_labels, (width, height), record.image)
            found = {RESULT: result.labels, **taken}
            counts = {name: confusion(one, truth, num_labels) for name, one in found.items()}
        if journal.suffix is not None:
            write_mask(journal.new_path(record.id), result.labels)
        return _row(record, manifest.classes, result, counts.get(RESULT)), counts

    for row, counts in each_record(
        model,
        records,
        InferenceSettings.of(params),
        finish,
        done=journal.done,
        threads=threads,
        title="evaluation",
    ):
        count(counts)
        packed = {name: pack_counts(one) for name, one in counts.items()}
        journal.add(row.id, [dataclasses.asdict(row), packed])
        rows[row.id] = row
    rows = {id_: row for part in gather(rows) for id_, row in part.items()}
    names = dict.fromkeys(name for part in gather(list(steps)) for name in part)
    return Evaluation(
        matrix=sum_counts(total),
        steps={name: sum_counts(steps.get(name, np.zeros(shape, np.int64))) for name in names},
        rows=[rows[record.id] for record in records],
    )


def _row(
    record: Record, classes: tuple[str, ...], result: Segmentation, counts: Counts | None
) -> PredictionRow:
    """What was found in one image; `counts` is its confusion with the truth."""
    background, _, predicted = shares(result.labels, classes)
    return PredictionRow(
        id=record.id,
        background=background,
        foreground=100 - background,
        confidence=float(result.confidence.mean(dtype=np.float64)),
        tags=record.tags,
        predicted=predicted,
        missing=without(record.tags, predicted),
        unexpected=without(predicted, record.tags) if record.tags else (),
        iou=math.nan if counts is None else float(mean_iou(counts)),
    )
