"""Pseudo-labels of a whole split: CAMs on the network's device, CRF and PNG files in a pool.

Memory holds a few batches however many images there are, and a killed export goes on after the
images that were done. Masks, where there are any, are only compared with; with `background_score:
sweep` they also choose the score, and the result says so.
"""

import dataclasses
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from weaktr.batching import map_ahead, read_run_write, shape_batches, thread_pool
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
from weaktr.pseudo_labels.background_sweep import MIN_GAP, BackgroundSweep, SweepCounts
from weaktr.pseudo_labels.image_label import (
    at_size,
    pseudo_label,
    resized,
    row_of_label,
    working_image,
)
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams, scaled_input
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


class _Seen(NamedTuple):
    """An image at its working size, and its CAMs of each seed."""

    record: Record
    image: Pixels
    by_kind: dict[CAMKind, PatchCAMs]


class _Done(NamedTuple):
    """What is new of an image."""

    record: Record
    sweeps: list[SweepCounts] | None = None
    """Counts of each seed, none without a mask; `None` where the CAMs are not new."""
    row: LabelRow | None = None
    matrix: Counts | None = None
    """The label's confusion with the mask."""


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
        threads: Images that are read, and labelled, side by side while the network runs.

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

    def keep(seen: _Seen) -> tuple[_Done, PatchCAMs]:
        """Stores an image's CAMs and measures them; gives them as they are stored."""
        record, path = seen.record, cams.path(seen.record.id)
        by_kind = {kind: one.cpu() for kind, one in seen.by_kind.items()}
        by_kind[kept].save(path)
        by_kind[kept] = PatchCAMs.load(path)  # as when a swept score labels
        counts = []
        if record.id in masks:
            truth = torch.from_numpy(at_size(truth_of(record), seen.image.shape[:2]))
            for kind, sweep in sweeps.items():
                counts.append(sweep.count(by_kind[kind].full(), by_kind[kind].classes, truth))
        return _Done(record, counts), by_kind[kept]

    def label(record: Record, image: Pixels, of_image: PatchCAMs) -> _Done:
        """Labels an image and measures the label."""
        full = of_image.full()
        ids = pseudo_label(full, of_image.classes, image, background_score=score, crf=params.crf)
        if ids.shape != (record.height, record.width):
            ids = resized(ids, (record.width, record.height), Image.Resampling.NEAREST)
        write_mask(labels.new_path(record.id), ids)
        counts = None
        if record.id in masks:
            counts = confusion(ids, truth_of(record), len(names) + 1)
        confidence = label_confidence(full, score)
        row = row_of_label(record, names, ids, of_image, confidence, counts)
        return _Done(record, row=row, matrix=counts)

    def finish(seen: _Seen, score: float | None) -> _Done:
        """Keeps the CAMs and, where the score is known, labels the image."""
        if seen.record.id in cams.done:  # the others of its batch were not
            return _Done(seen.record)
        done, stored = keep(seen)
        if score is None or seen.record.id in labels.done:
            return done
        return label(seen.record, seen.image, stored)._replace(sweeps=done.sweeps)

    def make_cams() -> Iterator[_Done]:
        shapes = shape_batches([(r.height, r.width) for r in records], BATCH)
        batches = [[records[i] for i in batch] for batch in shapes]
        left = [b for b in batches if not cams.done.issuperset(record.id for record in b)]
        behind = partial(finish, score=fixed)
        return _seen_in_batches(model, names, share(left), params, behind, threads)

    def label_from_disk(ids: Container[str]) -> Iterator[_Done]:
        """Labels the images whose CAMs are on disk, of those given."""
        left = [r for r in records if r.id in ids and r.id not in labels.done]
        mine = share(left)

        def work(record: Record) -> _Done:
            return label(
                record, working_image(record, params), PatchCAMs.load(cams.path(record.id))
            )

        with thread_pool(threads) as pool:
            results = map_ahead(pool, work, mine, ahead=2 * threads)
            yield from track(results, "labels", total=len(mine))

    def note(done: _Done) -> None:
        id_ = done.record.id
        if done.sweeps is not None:
            for sweep, one in zip(sweeps.values(), done.sweeps, strict=bool(done.sweeps)):
                sweep.add(one)
            cams.add(id_, [one.packed() for one in done.sweeps])
        if done.row is not None:
            matrix = None if done.matrix is None else pack_counts(done.matrix)
            labels.add(id_, [dataclasses.asdict(done.row), matrix])
            found[id_] = done.row
            if done.matrix is not None:
                np.add(total, done.matrix, out=total)

    if fixed is not None:
        score = fixed
        for done in chain(label_from_disk(cams.done), make_cams()):
            note(done)
        _add_up(sweeps.values())
    else:
        for done in make_cams():
            note(done)
        _add_up(sweeps.values())
        score = _swept_score(sweeps[kept])
        for done in label_from_disk({record.id for record in records}):
            note(done)

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


def _seen_in_batches(
    model: CAMNetwork,
    classes: Sequence[str],
    batches: Sequence[Sequence[Record]],
    params: LabelParams,
    behind: Callable[[_Seen], _Done],
    threads: int,
) -> Iterator[_Done]:
    """Runs the network over batches of equal shape; images are read and resized ahead of it."""
    column = {name: c for c, name in enumerate(classes)}
    records = [record for batch in batches for record in batch]

    def read(record: Record) -> tuple[Pixels, list[Tensor]]:
        image = working_image(record, params)
        wanted = params.scales if record.tags else ()
        return image, [scaled_input(model, image, scale) for scale in wanted]

    def run(ready: Iterator[tuple[Pixels, list[Tensor]]]) -> Iterator[_Seen]:
        for batch in batches:
            together, inputs = zip(*islice(ready, len(batch)), strict=True)
            per_kind = multi_scale_cams(
                model,
                together,
                [[column[tag] for tag in record.tags] for record in batch],
                scales=params.scales,
                flip=params.flip,
                kinds=SEEDS,
                precision=params.precision,
                inputs=inputs,
            )
            for record, image, *cams in zip(batch, together, *per_kind, strict=True):
                yield _Seen(record, image, dict(zip(SEEDS, cams, strict=True)))

    results = read_run_write(records, read=read, run=run, write=behind, threads=threads)
    return track(results, "CAMs", total=len(records))


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
