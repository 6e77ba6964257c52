"""Multi-scale evaluation of a photograph, disk to disk, against the published way."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.cases import Case, Line, Race
from benchmarks.decoder_step import build_segmenter
from benchmarks.limits import Flops, count_flops
from benchmarks.measure import Step
from benchmarks.photograph import write_scenes
from oracles.plain_segmenter import explicit_attention, plain_evaluation
from weaktr.config.evaluation import EvaluationParams
from weaktr.config.values import Precision
from weaktr.data.manifest import Manifest
from weaktr.journal import ImageJournal
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.evaluate import evaluate
from weaktr.segmentation.sliding_window import enlarged_size, scaled_size, window_starts

HEIGHT, WIDTH = 255, 384
IMAGES = {"cpu": 1, "cuda": 4}
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
WINDOW, STRIDE, SHORT_SIDE = 480, 320, 520
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PUBLISHED = "published way, float32"


def cases(device: torch.device) -> Iterator[Case]:
    """One: the published evaluation."""
    yield Case(
        family="evaluation, an image",
        name="DeiT-S, 6 scales with flips",
        seconds=160,
        build=_build,
    )


def _build(device: torch.device, stack: ExitStack) -> Race:
    model = build_segmenter(device).eval()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    count = IMAGES.get(device.type, IMAGES["cpu"])
    manifest = write_scenes(folder, count, HEIGHT, WIDTH)
    windows = 2 * sum(_windows(scale) for scale in SCALES)
    x = torch.zeros(1, 3, WINDOW, WINDOW, device=device)
    with torch.inference_mode():
        work = count * windows * count_flops(partial(model, x))
    params = EvaluationParams(
        window=WINDOW, stride=STRIDE, short_side=SHORT_SIDE, scales=SCALES, flip=True
    )
    steps: dict[str, Step] = {PUBLISHED: partial(_published, model, manifest, folder)}
    lines = []
    for precision in PRECISIONS:
        name = f"{WIDTH}x{HEIGHT}, {windows} windows, {precision}"
        own = params.model_copy(update={"precision": precision})
        steps[name] = partial(_evaluate, model, manifest, own, folder)
        lines.append(Line(setting=name, ours=name, against=PUBLISHED, limit=Flops(work, precision)))
    per = dict.fromkeys(steps, count)
    return Race(steps=steps, lines=lines, per=per, memory="process")


def _windows(scale: float) -> int:
    size = enlarged_size(scaled_size((HEIGHT, WIDTH), scale, SHORT_SIDE), WINDOW)
    rows, columns = (len(window_starts(side, WINDOW, STRIDE)) for side in size)
    return rows * columns


def _evaluate(model: Segmenter, manifest: Manifest, params: EvaluationParams, folder: Path) -> None:
    """Segments all images anew."""
    with tempfile.TemporaryDirectory(dir=folder) as new:
        journal = ImageJournal(Path(new), ".png")
        evaluate(model, manifest, {}, params, journal, threads=torch.get_num_threads())


def _published(model: Segmenter, manifest: Manifest, folder: Path) -> None:
    """Reads, segments and writes one image after the other."""
    for record in manifest.records:
        image = np.array(Image.open(record.image).convert("RGB"))
        with explicit_attention(model):
            labels = plain_evaluation(
                model,
                image,
                window=WINDOW,
                stride=STRIDE,
                short_side=SHORT_SIDE,
                scales=SCALES,
            )
        Image.fromarray(labels).save(folder / f"{record.id}.label.png")
