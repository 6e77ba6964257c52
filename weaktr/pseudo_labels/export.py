"""Pseudo-labels of a whole split: CAMs on the network's device, CRF and PNG files in a pool.

Memory holds a few batches however many images there are. Masks, where there are any, are only
compared with; with `background_score: sweep` they also choose the score, and the result says so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from weaktr.batching import map_ahead, shape_batches
from weaktr.config.crf import CrfParams
from weaktr.config.labels import LabelParams
from weaktr.crf.dense_crf import refine_with_crf
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_label_map, write_mask
from weaktr.distributed import gather, share, sum_counts
from weaktr.errors import UserError
from weaktr.labels import Pixels
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.image_table import LabelRow, shares, without
from weaktr.metrics.scores import Counts, mean_iou
from weaktr.models.cam_kinds import FINE, FUSED, SEEDS, CAMKind
from weaktr.models.cam_network import CAMNetwork
from weaktr.progress import track
from weaktr.pseudo_labels.background import cam_to_label, label_confidence
from weaktr.pseudo_labels.background_sweep import MIN_GAP, BackgroundSweep
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
    cam_folder: Path,
    label_folder: Path,
    threads: int,
) -> LabelMetrics:
    """Writes compact CAMs and one palette PNG for every image of a manifest.

    Of several processes each has its share of the images, and all get the result of all.

    Args:
        model: The CAM network in evaluation mode, on the device to use.
        manifest: The images and their tags.
        masks: Path of the true mask of each image that has one; measures, and never labels unless
            `params.background_score` is `sweep`.
        params: The `labels` section.
        cam_folder: Existing folder for one `.safetensors` of CAMs per image.
        label_folder: Existing folder for one PNG per image.
        threads: Images that are labelled side by side while the network runs.

    Raises:
        UserError: If an image or a mask cannot be read, or if a sweep is asked for without masks.
    """
    names = manifest.classes
    kept = FINE if params.affinity else FUSED
    fixed = params.background_score if isinstance(params.background_score, float) else None
    thresholds = [i / 100 for i in range(1, 100)]
    if fixed is not None:  # it takes the place of one that is the same or too close
        thresholds = sorted([fixed, *(t for t in thresholds if abs(t - fixed) >= MIN_GAP)])
    sweeps = {kind: BackgroundSweep(len(names), thresholds) for kind in SEEDS}
    measured = [record for record in manifest.records if record.id in masks]
    batches = share(shape_batches([(r.height, r.width) for r in manifest.records], BATCH))

    def truth_of(record: Record) -> Pixels:
        size = (record.width, record.height)
        return read_label_map(masks[record.id], len(names) + 1, size, record.image)

    def cams_in_batches() -> Iterator[_Job]:
        for record, image, by_kind in _cams(model, manifest, batches, params):
            path = cam_folder / f"{record.id}.safetensors"
            by_kind[kept].save(path)
            by_kind[kept] = PatchCAMs.load(path)  # as when a swept score labels
            if record.id in masks:
                truth = torch.from_numpy(_at_size(truth_of(record), image.shape[:2]))
                for kind, sweep in sweeps.items():
                    sweep.update(by_kind[kind].full(), by_kind[kind].classes, truth)
            yield _Job(record, image, by_kind[kept])
        for sweep in sweeps.values():
            sweep.all_reduce()

    def cams_from_disk() -> Iterator[_Job]:
        for index in track(sorted(i for batch in batches for i in batch), "labels"):
            record = manifest.records[index]
            cams = PatchCAMs.load(cam_folder / f"{record.id}.safetensors")
            yield _Job(record, working_image(record, params), cams)

    if fixed is not None:
        score, jobs = fixed, cams_in_batches()
    else:
        for _ in cams_in_batches():
            pass
        score, jobs = _swept_score(sweeps[kept]), cams_from_disk()

    def label(job: _Job) -> tuple[LabelRow, Counts | None]:
        record = job.record
        cams = job.cams.full()
        ids = pseudo_label(
            cams, job.cams.classes, job.image, background_score=score, crf=params.crf
        )
        if ids.shape != (record.height, record.width):
            ids = _resized(ids, (record.width, record.height), Image.Resampling.NEAREST)
        write_mask(label_folder / f"{record.id}.png", ids)
        counts = None
        if record.id in masks:
            confusion = ConfusionMatrix(len(names) + 1)
            confusion.update(torch.from_numpy(ids), torch.from_numpy(truth_of(record)))
            counts = confusion.matrix()
        confidence = label_confidence(cams, score)
        return _row(record, names, ids, job.cams, confidence, counts), counts

    found: dict[str, LabelRow] = {}
    total = np.zeros((len(names) + 1,) * 2, np.int64)
    with ThreadPoolExecutor(threads) as pool:
        for row, counts in map_ahead(pool, label, jobs, ahead=4 * threads):
            found[row.id] = row
            if counts is not None:
                total += counts

    found = {id_: row for part in gather(found) for id_, row in part.items()}
    total = sum_counts(total)
    result = LabelMetrics(score, kept.name, images=len(manifest.records), measured=len(measured))
    result.rows = [found[record.id] for record in manifest.records]
    if total.any():
        at_score = thresholds.index(score)
        result.miou = {kind.name: float(s.miou()[at_score]) for kind, s in sweeps.items()}
        result.miou["pseudo_labels"] = float(mean_iou(total))
        result.optimum = {kind.name: s.best()._asdict() for kind, s in sweeps.items()}
    return result


def pseudo_label(
    cams: Tensor,
    classes: Sequence[int],
    image: Pixels,
    *,
    background_score: float,
    crf: CrfParams,
) -> Pixels:
    """The pseudo-label of one image.

    Args:
        cams: CAMs of its tags, float32 `[K, H, W]` in [0, 1].
        classes: The K tags, 0-based.
        image: The image, RGB uint8 `[H, W, 3]`.
        background_score: Score of the background at every pixel.
        crf: Dense CRF that sharpens the label map; backend `none` leaves it as it is.

    Returns:
        uint8 `[H, W]`: 0 background, class + 1 elsewhere; all background if there are no tags.
    """
    label = cam_to_label(cams, classes, background_score).cpu().numpy()
    if crf.backend == "none":
        return label
    return refine_with_crf(image, label, classes=classes, params=crf)


def _row(
    record: Record,
    classes: Sequence[str],
    ids: Pixels,
    cams: PatchCAMs,
    confidence: float,
    counts: Counts | None,
) -> LabelRow:
    """What is known of one label; `counts` is its confusion with the truth."""
    background, void, present = shares(ids, classes)
    return LabelRow(
        id=record.id,
        background=background,
        void=void,
        foreground=100 - background - void,
        confidence=confidence,
        contrast=float(cams.contrast().min()) if cams.classes else math.nan,
        tags=record.tags,
        missing=without(record.tags, present),
        iou=math.nan if counts is None else float(mean_iou(counts)),
    )


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
            model, images, present, scales=params.scales, flip=params.flip, kinds=SEEDS
        )
        for place, i in enumerate(batch):
            by_kind = {kind: cams[place].cpu() for kind, cams in zip(SEEDS, per_kind, strict=True)}
            yield records[i], images[place], by_kind


def working_image(record: Record, params: LabelParams) -> Pixels:
    """RGB `[H, W, 3]`, shrunk so that its long side is at most `params.long_side`."""
    image = read_image(record.image)
    longest = max(image.size)
    if params.long_side is not None and longest > params.long_side:
        factor = params.long_side / longest
        width, height = (max(1, round(side * factor)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)


def _resized(ids: Pixels, size: tuple[int, int], resampling: Image.Resampling) -> Pixels:
    return np.array(Image.fromarray(ids).resize(size, resampling))


def _at_size(ids: Pixels, shape: tuple[int, int]) -> Pixels:
    """A mask at the working size of its image."""
    if ids.shape == shape:
        return ids
    return _resized(ids, (shape[1], shape[0]), Image.Resampling.NEAREST)


def _swept_score(sweep: BackgroundSweep) -> float:
    if not sweep.confusion().any():
        raise UserError(
            "labels.background_score: 'sweep' needs masks of training images and there are none "
            "with a labelled pixel; give a number, 0.43 for example."
        )
    return sweep.best().background_score
