"""Background sweep from a histogram, against a label map for each of 60 thresholds."""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Bytes
from oracles import labels as oracle
from weaktr.pseudo_labels.background_sweep import DEFAULT_THRESHOLDS, BackgroundSweep

HEIGHT, WIDTH, IMAGES = 375, 500, 2
CLASSES, PRESENT = 20, (2, 9, 14)
LOOP = "softmax, argmax, counts for each"


def cases(device: torch.device) -> Iterator[Case]:
    """One: two images with three present classes of 20."""
    yield Case(
        family="background sweep, an image",
        name=f"{len(DEFAULT_THRESHOLDS)} thresholds",
        seconds=30,
        build=_build,
    )


def _build(device: torch.device, stack: ExitStack) -> Race:
    """CAMs are on the device; the reference has them on the CPU."""
    images = [_image(seed) for seed in range(IMAGES)]
    moved = [(cams.to(device), truth.to(device)) for cams, truth in images]

    def histogram() -> np.ndarray:
        sweep = BackgroundSweep(CLASSES)
        for cams, truth in moved:
            sweep.update(cams, PRESENT, truth)
        return sweep.confusion()

    def one_by_one() -> np.ndarray:
        given = [(cams, PRESENT, truth) for cams, truth in images]
        return oracle.sweep(given, CLASSES, DEFAULT_THRESHOLDS)

    def notes() -> list[str]:
        different = int(np.abs(histogram() - one_by_one()).sum()) // 2
        decisions = len(DEFAULT_THRESHOLDS) * IMAGES * HEIGHT * WIDTH
        return [f"{different} of {decisions} decisions differ, by the softmax's rounding."]

    once = IMAGES * HEIGHT * WIDTH * (4 * len(PRESENT) + 1)  # CAMs and true masks
    return Race(
        steps={"ours": histogram, LOOP: one_by_one},
        lines=[
            Line(
                setting=f"{len(DEFAULT_THRESHOLDS)} thresholds, {WIDTH}x{HEIGHT}",
                against=LOOP,
                limit=Bytes(once),
            )
        ],
        per=dict.fromkeys(("ours", LOOP), IMAGES),
        notes=notes,
    )


def _image(seed: int) -> tuple[Tensor, Tensor]:
    """Smooth CAMs `[K, H, W]` and a mask with void."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, len(PRESENT), 24, 32, generator=generator)
    cams = F.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0]
    ids = torch.tensor([0, *(c + 1 for c in PRESENT), 255], dtype=torch.uint8)
    blocks = torch.randint(0, len(ids), (1 + HEIGHT // 25, 1 + WIDTH // 25), generator=generator)
    truth = ids[blocks].repeat_interleave(25, 0).repeat_interleave(25, 1)[:HEIGHT, :WIDTH]
    return cams, truth.contiguous()
