"""Prediction on new images: palette PNG masks, overlays and a table, for any number of images.

Files are read and written by a pool while the network runs; images of equal shape go through it
together. Only a few images are in memory at a time.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from weaktr.batching import equal_shape_batches, map_ahead
from weaktr.config.crf import CrfParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.data.images import PixelLimit, read_image
from weaktr.data.masks import write_mask
from weaktr.device import free_memory, ran_out_of_memory
from weaktr.errors import UserError
from weaktr.files import replace_file
from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.predict.image_paths import output_names
from weaktr.predict.table import Row, prediction_table, write_classes
from weaktr.progress import track
from weaktr.report.overlay import overlay
from weaktr.segmentation.segment import Segmentation, segment

BATCH_IMAGES = 8
"""Images of equal shape that are segmented together."""
BATCH_PIXELS = 2**21
"""Larger images gain nothing from company."""
HELD_PIXELS = 2**24
"""Decoded pixels that may wait for others of their shape."""
WINDOW = 64
"""Images by which one may overtake another."""
OVERLAY_SIDE = 2048
"""Longest side of an overlay: it is for looking at."""


@dataclass(frozen=True, slots=True)
class _Job:
    """An image to do."""

    index: int
    path: Path
    name: str
    """Of its results, without suffix."""
    allowed: tuple[int, ...] | None


class _Loaded(NamedTuple):
    """A decoded image, or why there is none."""

    job: _Job
    image: Pixels | None
    problem: str = ""


class _Done(NamedTuple):
    """An image, segmented unless memory did not suffice."""

    job: _Job
    image: Pixels
    result: Segmentation | None


@dataclass
class Outcome:
    """What became of the images.

    Attributes:
        images: How many were asked for.
        skipped: Why each image without a mask has none, one sentence each.
    """

    images: int
    skipped: list[str] = field(default_factory=list)


def prediction_params(
    decoder: DecoderParams,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    short_side: int | None = None,
    crf: bool = False,
) -> EvaluationParams:
    """How to segment new images with a model: as it saw images in training.

    Windows are as large as its training crops and overlap by a third, and scale 1 brings the short
    side of an image to that of training.

    Args:
        decoder: Params of the model.
        scales: Factors of the working size, averaged over.
        flip: Whether each scale is also run on the mirrored image.
        short_side: Of an image at scale 1, in pixels; `None`: as in training.
        crf: Whether a dense CRF sharpens the result (with the published settings for VOC).
    """
    window = decoder.crop_size
    return EvaluationParams(
        window=window,
        stride=max(1, 2 * window // 3),
        short_side=decoder.augment.short_side if short_side is None else short_side,
        scales=tuple(scales),
        flip=flip,
        crf=CrfParams(backend="lattice" if crf else "none", gaussian_sxy=3.0),
    )


def predict(
    model: Segmenter,
    classes: Sequence[str],
    images: Sequence[Path],
    output: Path,
    params: EvaluationParams,
    *,
    allowed: Sequence[tuple[int, ...] | None] | None = None,
    overlay: bool = False,
    limit: PixelLimit | None = None,
    threads: int = 2,
) -> Outcome:
    """Writes `masks/<name>.png`, `predictions.csv`, `classes.csv`, and `overlays/<name>.jpg`.

    Masks have the size of their image; each file appears whole or not at all. `predictions.csv`
    appears last.

    Args:
        model: In evaluation mode, on the device to use.
        classes: Names without background.
        images: Different files; those that cannot be read, or not be segmented in the memory that
            there is, are skipped.
        output: Folder for the results.
        params: InferenceSettings, scales, flip and CRF.
        allowed: For each image the classes it may contain, 0-based, or `None` for all.
        overlay: Whether to write pictures of the masks over their images.
        limit: Of the size of an image; larger ones are skipped too.
        threads: Files that are read and written side by side while the network runs.

    Raises:
        UserError: If a result would overwrite an image, or cannot be written.
    """
    names = output_names(images)
    tags = allowed or [None] * len(images)
    jobs = [_Job(*job) for job in zip(range(len(images)), images, names, tags, strict=True)]
    _refuse_overwriting(jobs, output)
    outcome = Outcome(len(images))

    with _writing(output), ThreadPoolExecutor(threads) as pool:
        write_classes(output / "classes.csv", classes)
        with prediction_table(output / "predictions.csv", classes) as table:

            def readable() -> Iterator[_Loaded]:
                load = partial(_load, limit=limit)
                for loaded in map_ahead(pool, load, jobs, ahead=threads):
                    if loaded.image is not None:
                        yield loaded
                    else:
                        outcome.skipped.append(loaded.problem)
                        table.add(loaded.job.index, None)

            def write(done: _Done) -> tuple[int, Row | str]:
                return done.job.index, _write(done, output, classes, overlay=overlay)

            results = _segmented(model, readable(), params)
            rows = map_ahead(pool, write, results, ahead=2 * threads)
            for index, row in track(rows, "images", total=len(jobs)):
                if isinstance(row, str):
                    outcome.skipped.append(row)
                table.add(index, None if isinstance(row, str) else row)
    return outcome


def _load(job: _Job, limit: PixelLimit | None) -> _Loaded:
    try:
        return _Loaded(job, np.array(read_image(job.path, limit)))
    except UserError as error:
        return _Loaded(job, None, str(error))
    except MemoryError:
        return _Loaded(job, None, _too_large(job, ""))


def _segmented(
    model: Segmenter, loaded: Iterator[_Loaded], params: EvaluationParams
) -> Iterator[_Done]:
    """Segments images in batches of equal shape."""
    everything = tuple(range(model.num_labels - 1))

    def shape_of(one: _Loaded) -> tuple[int, int]:
        assert one.image is not None
        return one.image.shape[0], one.image.shape[1]

    for batch in equal_shape_batches(
        loaded,
        shape_of,
        images=BATCH_IMAGES,
        pixels=BATCH_PIXELS,
        held=HELD_PIXELS,
        window=WINDOW,
    ):
        images = [one.image for one in batch if one.image is not None]
        allowed = [everything if one.job.allowed is None else one.job.allowed for one in batch]
        results = _segment_in_memory(model, images, params, allowed)
        for one, image, result in zip(batch, images, results, strict=True):
            yield _Done(one.job, image, result)


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


def _too_large(job: _Job, size: str) -> str:
    return (
        f"{job.path}{size} needs more memory than there is; make it smaller, cut it into tiles, or "
        "run it on another machine."
    )


def _write(done: _Done, output: Path, classes: Sequence[str], *, overlay: bool) -> Row | str:
    """Writes the files of one image; gives its row of the table, or says why there is none."""
    too_large = _too_large(done.job, f" ({done.image.shape[1]}x{done.image.shape[0]} pixels)")
    if done.result is None:
        return too_large
    try:
        return _write_result(done, done.result, output, classes, overlay=overlay)
    except MemoryError:
        return too_large


def _write_result(
    done: _Done, result: Segmentation, output: Path, classes: Sequence[str], *, overlay: bool
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


def _refuse_overwriting(jobs: Sequence[_Job], output: Path) -> None:
    inputs = {job.path.resolve(): job.path for job in jobs}
    for job in jobs:
        for target in (f"masks/{job.name}.png", f"overlays/{job.name}.jpg"):
            image = inputs.get((output / target).resolve())
            if image is not None:
                raise UserError(
                    f"--output {output}: a result would overwrite the image {image}; choose "
                    "another folder."
                )


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    """Turns a full disk and missing rights into a sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or output} cannot be written ({error.strerror or error}); choose "
            "another --output, or make room."
        ) from None
