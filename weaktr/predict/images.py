"""Single images of a prediction: decoded, segmented together, written; each can fail alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from weaktr.config.evaluation import EvaluationParams
from weaktr.data.images import PixelLimit, read_with_peak
from weaktr.data.masks import write_mask
from weaktr.device import free_memory, ran_out_of_memory
from weaktr.errors import UserError
from weaktr.files import replace_file
from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.predict.table import Row
from weaktr.report.overlay import overlay
from weaktr.segmentation.segment import Segmentation, segment

OVERLAY_SIDE = 2048
"""Longest side of an overlay: it is for looking at."""


@dataclass(frozen=True, slots=True)
class Job:
    """An image to do."""

    index: int
    path: Path
    name: str
    """Of its results, without suffix."""
    allowed: tuple[int, ...] | None


class Loaded(NamedTuple):
    """A decoded image (with its largest value, if it has 16 bits a value), or why there is none."""

    job: Job
    image: Pixels | None
    problem: str = ""
    peak: int | None = None


class Done(NamedTuple):
    """An image, segmented unless memory did not suffice."""

    job: Job
    image: Pixels
    result: Segmentation | None


def load(job: Job, limit: PixelLimit | None) -> Loaded:
    """Decodes an image, or says why it cannot be."""
    try:
        image, peak = read_with_peak(job.path, limit)
        return Loaded(job, np.array(image), peak=peak)
    except UserError as error:
        return Loaded(job, None, str(error))
    except MemoryError:
        return Loaded(job, None, _too_large(job, ""))


def segment_batch(
    model: Segmenter, batch: Sequence[Loaded], params: EvaluationParams
) -> list[Done]:
    """Segments decoded images of equal shape."""
    everything = tuple(range(model.num_labels - 1))
    images = [one.image for one in batch if one.image is not None]
    allowed = [everything if one.job.allowed is None else one.job.allowed for one in batch]
    results = _segment_in_memory(model, images, params, allowed)
    trios = zip(batch, images, results, strict=True)
    return [Done(one.job, image, result) for one, image, result in trios]


def _segment_in_memory(
    model: Segmenter,
    images: Sequence[Pixels],
    params: EvaluationParams,
    allowed: Sequence[tuple[int, ...]],
) -> Sequence[Segmentation | None]:
    """`segment`, one by one where memory does not suffice for all; `None` where not for one."""
    try:
        return segment(model, images, params, allowed)
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
    free_memory()
    if len(images) == 1:
        return [None]
    alone = [[image] for image in images], [[classes] for classes in allowed]
    return [_segment_in_memory(model, one, params, a)[0] for one, a in zip(*alone, strict=True)]


def _too_large(job: Job, size: str) -> str:
    return (
        f"{job.path}{size} needs more memory than there is; make it smaller, cut it into tiles, or "
        "run it on another machine."
    )


def write(done: Done, output: Path, classes: Sequence[str], *, overlay: bool) -> Row | str:
    """Writes the files of one image; gives its row of the table, or says why there is none."""
    too_large = _too_large(done.job, f" ({done.image.shape[1]}x{done.image.shape[0]} pixels)")
    if done.result is None:
        return too_large
    try:
        return _write_result(done, done.result, output, classes, overlay=overlay)
    except MemoryError:
        return too_large


def _write_result(
    done: Done, result: Segmentation, output: Path, classes: Sequence[str], *, overlay: bool
) -> Row:
    labels, confidence = result
    mask = f"masks/{done.job.name}.png"
    counts = np.bincount(labels.reshape(-1), minlength=len(classes) + 1)
    sums = np.bincount(labels.reshape(-1), confidence.reshape(-1), minlength=len(classes) + 1)
    picture = overlay_picture(done.image, labels) if overlay else None
    with replace_file(output / mask) as temporary:
        write_mask(temporary, labels)
    if picture is not None:
        with replace_file(output / "overlays" / f"{done.job.name}.jpg") as temporary:
            picture.save(temporary, format="JPEG", quality=92)
    return Row(
        image=str(done.job.path),
        mask=mask,
        width=labels.shape[1],
        height=labels.shape[0],
        shares=tuple((counts / labels.size).tolist()),
        confidence=float(confidence.mean(dtype=np.float64)),
        confidences={
            name: float(sums[label] / counts[label])
            for label, name in enumerate(classes, start=1)
            if counts[label]
        },
    )


def overlay_picture(image: Pixels, labels: Pixels) -> Image.Image:
    """The mask painted over the image, at most `OVERLAY_SIDE` pixels long."""
    picture, mask = Image.fromarray(image), Image.fromarray(labels)
    factor = OVERLAY_SIDE / max(picture.size)
    if factor < 1:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.BOX)
        mask = mask.resize(size, Image.Resampling.NEAREST)
    return Image.fromarray(overlay(np.asarray(picture), np.asarray(mask)))
