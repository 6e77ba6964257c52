"""Pseudo-labels of a whole split: CAMs on the network's device, CRF and PNG files in a pool.

Memory holds a few batches however many images there are, and a killed export goes on after the
images that were done. Masks, where there are any, are only compared with; with `background_score:
sweep` they also choose the score, and the result says so.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from weaktr.batching import map_ahead, shape_batches, thread_pool
from weaktr.config.labels import LabelParams
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_label_map, write_mask
from weaktr.distributed import gather, share, sum_counts
from weaktr.errors import UserError
from weaktr.journal import ImageJournal
from weaktr.labels import Pixels
from weaktr.metrics.confusion import confusion
from weaktr.metrics.image_table import LabelRow, row_of
from weaktr.metrics.packed_counts import pack_counts, unpack_counts
from weaktr.metrics.scores import Counts, mean_iou
from weaktr.models.cam_kinds import FINE, FUSED, SEEDS, CAMKind
from weaktr.models.cam_network import CAMNetwork
from weaktr.progress import track
from weaktr.pseudo_labels.background import label_confidence
from weaktr.pseudo_labels.background_sweep import MIN_GAP, BackgroundSweep
from weaktr.pseudo_labels.image_label import (
    at_size,
    pseudo_label,
    resized,
    row_of_label,
    working_image,
)
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams
from weaktr.pseudo_labels.patch_cams import PatchCAMs

BATCH = 8
"""Images of equal shape that go through the network together, each with its flip."""


@dataclass
class LabelMetrics:
    """What export found out.

    Attributes:
        background_score: The score that was used.
        seed: Kind of CAM that the labels were made of.
        images: Images labelled.
        measured: Images that had a mask to compare with.
        miou: mIoU in percent of the seeds at the background score (`coarse`, `fused`, `fine`) and
            of the `pseudo_labels`; empty where no mask has a labelled pixel.
        optimum: For each seed the best background score by the masks, and its mIoU: an oracle's
            value, for information.
        rows: What is known of each label, in the order of the manifest.
    """

    background_score: float
    seed: str
    images: int = 0
    measured: int = 0
    miou: dict[str, float] = field(default_factory=dict)
    optimum: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: list[LabelRow] = field(default_factory=list)


class _Job(NamedTuple):
    """An image to label, at its working size, and its CAMs."""

    record: Record
    image: Pixels
    cams: PatchCAMs


@torch.inference_mode()
def export_labels(
    model: CAMNetwork,
    manifest: Manifest,
    masks: Mapping[str, str],
    params: LabelParams,
    *,
    cams: ImageJournal,
    labels: ImageJournal,
    threads: int,
) -> LabelMetrics:
    """Writes compact CAMs and one palette PNG for every image of a manifest.

    Of several processes each has its share of the images, and all get the result of all.

    Args:
        model: The CAM network in evaluation mode, on the device to use.
        manifest: The images and their tags.
        masks: Path of the true mask of each image that has one; measures, and never labels unless
            `params.background_score` is `sweep`.
        params: The `labels` section, with the precision as `choose_precision` gives it.
        cams: Gets a `.safetensors` of CAMs per image; those that it has are not made again.
        labels: Gets a PNG per image, likewise.
        threads: Images that are labelled side by side while the network runs.

    Raises:
        UserError: If an image or a mask cannot be read, or if a sweep is asked for without masks.
    """
    names, records = manifest.classes, manifest.records
    kept = FINE if params.affinity else FUSED
    fixed = params.background_score if isinstance(params.background_score, float) else None
    thresholds = [i / 100 for i in range(1, 100)]
    if fixed is not None:  # it takes the place of one that is the same or too close
        thresholds = sorted([fixed, *(t for t in thresholds if abs(t - fixed) >= MIN_GAP)])
    sweeps = {kind: BackgroundSweep(len(names), thresholds) for kind in SEEDS}
    found: dict[str, LabelRow] = {}
    total = np.zeros((len(names) + 1,) * 2, np.int64)

    def take_cams(id_: str, note: Any) -> None:
        for sweep, counts in zip(sweeps.values(), note, strict=bool(note)):
            sweep.add_packed(counts)

    def take_label(id_: str, note: Any) -> None:
        row, counts = note
        found[id_] = row_of(LabelRow, row)
        if counts is not None:
            np.add(total, unpack_counts(counts, total.shape), out=total)

    cams.resume(take_cams)
    labels.resume(take_label)
    if labels.done:
        labels.tell(len(records))
    else:
        cams.tell(len(records), "the CAMs of ")

    def truth_of(record: Record) -> Pixels:
        size = (record.width, record.height)
        return read_label_map(masks[record.id], len(names) + 1, size, record.image)

    def cams_in_batches() -> Iterator[_Job]:
        shapes = shape_batches([(r.height, r.width) for r in records], BATCH)
        batches = share([b for b in shapes if not cams.done.issuperset(records[i].id for i in b)])
        for record, image, by_kind in _cams(model, manifest, batches, params):
            if record.id in cams.done:  # the others of its batch were not
                continue
            path = cams.path(record.id)
            by_kind[kept].save(path)
            by_kind[kept] = PatchCAMs.load(path)  # as when a swept score labels
            counts = []
            if record.id in masks:
                truth = torch.from_numpy(at_size(truth_of(record), image.shape[:2]))
                for kind, sweep in sweeps.items():
                    one = sweep.count(by_kind[kind].full(), by_kind[kind].classes, truth)
                    sweep.add(one)
                    counts.append(one.packed())
            cams.add(record.id, counts)
            yield _Job(record, image, by_kind[kept])

    def cams_from_disk(indices: Sequence[int]) -> Iterator[_Job]:
        left = [i for i in indices if records[i].id not in labels.done]
        for index in track(share(left), "labels"):
            record = records[index]
            image = working_image(record, params)
            yield _Job(record, image, PatchCAMs.load(cams.path(record.id)))

    def cams_then_labels() -> Iterator[_Job]:
        yield from cams_from_disk([i for i, r in enumerate(records) if r.id in cams.done])
        yield from (job for job in cams_in_batches() if job.record.id not in labels.done)

    def label(job: _Job) -> tuple[LabelRow, Counts | None]:
        record, full = job.record, job.cams.full()
        ids = pseudo_label(
            full, job.cams.classes, job.image, background_score=score, crf=params.crf
        )
        if ids.shape != (record.height, record.width):
            ids = resized(ids, (record.width, record.height), Image.Resampling.NEAREST)
        write_mask(labels.path(record.id), ids)
        counts = None
        if record.id in masks:
            counts = confusion(ids, truth_of(record), len(names) + 1)
        confidence = label_confidence(full, score)
        return row_of_label(record, names, ids, job.cams, confidence, counts), counts

    if fixed is not None:
        score, jobs = fixed, cams_then_labels()
    else:
        for _ in cams_in_batches():
            pass
        _add_up(sweeps.values())
        score, jobs = _swept_score(sweeps[kept]), cams_from_disk(range(len(records)))
    with thread_pool(threads) as pool:
        for row, counts in map_ahead(pool, label, jobs, ahead=4 * threads):
            labels.add(
                row.id, [dataclasses.asdict(row), None if counts is None else pack_counts(counts)]
            )
            found[row.id] = row
            if counts is not None:
                total += counts
    if fixed is not None:
        _add_up(sweeps.values())

    found = {id_: row for part in gather(found) for id_, row in part.items()}
    total = sum_counts(total)
    result = LabelMetrics(score, kept.name, images=len(records))
    result.measured = sum(record.id in masks for record in records)
    result.rows = [found[record.id] for record in records]
    if total.any():
        at_score = thresholds.index(score)
        result.miou = {kind.name: float(s.miou()[at_score]) for kind, s in sweeps.items()}
        result.miou["pseudo_labels"] = float(mean_iou(total))
        result.optimum = {kind.name: s.best()._asdict() for kind, s in sweeps.items()}
    return result


def _cams(
    model: CAMNetwork, manifest: Manifest, batches: Sequence[Sequence[int]], params: LabelParams
) -> Iterator[tuple[Record, Pixels, dict[CAMKind, PatchCAMs]]]:
    """Every image at its working size with the CAMs of each seed, in batches of equal shape."""
    records = manifest.records
    column = {name: c for c, name in enumerate(manifest.classes)}
    for batch in track(batches, "CAMs"):
        images = [working_image(records[i], params) for i in batch]
        present = [[column[tag] for tag in records[i].tags] for i in batch]
        per_kind = multi_scale_cams(
            model,
            images,
            present,
            scales=params.scales,
            flip=params.flip,
            kinds=SEEDS,
            precision=params.precision,
        )
        for place, i in enumerate(batch):
            by_kind = {kind: cams[place].cpu() for kind, cams in zip(SEEDS, per_kind, strict=True)}
            yield records[i], images[place], by_kind


def _swept_score(sweep: BackgroundSweep) -> float:
    if not sweep.confusion().any():
        raise UserError(
            "labels.background_score: 'sweep' needs masks of training images and there are none "
            "with a labelled pixel; give a number, 0.43 for example."
        )
    return sweep.best().background_score


def _add_up(sweeps: Iterable[BackgroundSweep]) -> None:
    for sweep in sweeps:
        sweep.all_reduce()
