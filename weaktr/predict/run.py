"""Prediction on new images: palette PNG masks, overlays and a table, for any number of images.

Files are read and written by a pool while the network runs; images of equal shape go through it
together. Only a few images are in memory at a time. With several devices, each has a process that
is given batches: they are put together as for one, and so is the table.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from weaktr.batching import equal_shape_batches, map_ahead, thread_pool
from weaktr.config.crf import CrfParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.config.values import Precision
from weaktr.data.images import PixelLimit
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter
from weaktr.predict.image_paths import output_names
from weaktr.predict.images import Done, Job, Loaded, load, segment_batch, write
from weaktr.predict.processes import Work, rows_of_processes
from weaktr.predict.table import Row, prediction_table, write_classes
from weaktr.progress import track

BATCH_IMAGES = 8
"""Images of equal shape that are segmented together."""
BATCH_PIXELS = 2**21
"""Larger images gain nothing from company."""
HELD_PIXELS = 2**24
"""Decoded pixels that may wait for others of their shape."""
WINDOW = 64
"""Images by which one may overtake another."""


@dataclass
class Outcome:
    """What became of the images.

    Attributes:
        images: How many were asked for.
        skipped: Why each image without a mask has none, one sentence each, in their order.
        peaks: Image and its largest value, of those with 16 bits a value.
    """

    images: int
    skipped: list[str] = field(default_factory=list)
    peaks: list[tuple[str, int]] = field(default_factory=list)


def prediction_params(
    decoder: DecoderParams,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    short_side: int | None = None,
    crf: bool = False,
    precision: Precision = "float32",
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
        precision: Of the network, as `choose_precision` gives it.
    """
    window = decoder.crop_size
    return EvaluationParams(
        window=window,
        stride=max(1, 2 * window // 3),
        short_side=decoder.augment.short_side if short_side is None else short_side,
        scales=tuple(scales),
        flip=flip,
        precision=precision,
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
    devices: Sequence[str] = (),
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
        devices: Of processes that share the work, one each; none: this process does it all.

    Raises:
        UserError: If a result would overwrite an image, or cannot be written, or a process of
            several was killed.
    """
    names = output_names(images)
    tags = allowed or [None] * len(images)
    jobs = [Job(*job) for job in zip(range(len(images)), images, names, tags, strict=True)]
    _refuse_overwriting(jobs, output)
    work = Work(model, params, output, tuple(classes), overlay)
    skipped: dict[int, str] = {}
    peaks: list[tuple[str, int]] = []

    with _writing(output), thread_pool(threads) as pool:
        write_classes(output / "classes.csv", classes)
        with prediction_table(output / "predictions.csv", classes) as table:

            def readable() -> Iterator[Loaded]:
                for loaded in map_ahead(pool, partial(load, limit=limit), jobs, ahead=threads):
                    if loaded.peak is not None:
                        peaks.append((str(loaded.job.path), loaded.peak))
                    if loaded.image is not None:
                        yield loaded
                    else:
                        skipped[loaded.job.index] = loaded.problem
                        table.add(loaded.job.index, None)

            batches = _equal_shapes(readable())
            if devices:
                rows = rows_of_processes(work, batches, devices)
            else:
                rows = _rows_of_this_process(work, batches, pool, ahead=2 * threads)
            with closing(rows):
                for index, row in track(rows, "images", total=len(jobs)):
                    if isinstance(row, str):
                        skipped[index] = row
                    table.add(index, None if isinstance(row, str) else row)
    return Outcome(len(images), [skipped[index] for index in sorted(skipped)], peaks)


def _equal_shapes(loaded: Iterable[Loaded]) -> Iterator[list[Loaded]]:
    """Decoded images in batches of one shape each."""

    def shape_of(one: Loaded) -> tuple[int, int]:
        assert one.image is not None
        return one.image.shape[0], one.image.shape[1]

    return equal_shape_batches(
        loaded,
        shape_of,
        images=BATCH_IMAGES,
        pixels=BATCH_PIXELS,
        held=HELD_PIXELS,
        window=WINDOW,
    )


def _rows_of_this_process(
    work: Work, batches: Iterable[list[Loaded]], pool: Executor, *, ahead: int
) -> Generator[tuple[int, Row | str]]:
    """Segments here while the pool writes what was found before."""

    def write_one(done: Done) -> tuple[int, Row | str]:
        return done.job.index, write(done, work.output, work.classes, overlay=work.overlay)

    results = (done for batch in batches for done in segment_batch(work.model, batch, work.params))
    return map_ahead(pool, write_one, results, ahead=ahead)


def _refuse_overwriting(jobs: Sequence[Job], output: Path) -> None:
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
