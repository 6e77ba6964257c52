"""Background sweep from a histogram, against a label map for each of 60 thresholds."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Row, median_seconds, peak_mib
from oracles import labels as oracle
from weaktr.pseudo_labels.background_sweep import DEFAULT_THRESHOLDS, BackgroundSweep

HEIGHT, WIDTH, IMAGES = 375, 500, 2
CLASSES, PRESENT = 20, (2, 9, 14)


def run(device: torch.device, repeats: int) -> list[Row]:
    """Sweeps over two images of 500 x 375 with three present classes of 20.

    Args:
        device: Where the CAMs are; the reference has them on the CPU.
        repeats: Of either version.
    """
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

    steps = {"ours": histogram, "loop": one_by_one}
    seconds = median_seconds(steps, device=device, repeats=repeats)
    different = int(np.abs(histogram() - one_by_one()).sum()) // 2
    decisions = len(DEFAULT_THRESHOLDS) * IMAGES * HEIGHT * WIDTH
    return [
        Row(
            step="background sweep",
            setting=f"{len(DEFAULT_THRESHOLDS)} thresholds, {IMAGES} images of {WIDTH}x{HEIGHT}",
            seconds=seconds["ours"],
            reference="softmax, argmax and counts for each",
            reference_seconds=seconds["loop"],
            peak_mib=peak_mib(histogram, device),
            note=f"{different} of {decisions} decisions differ, by the softmax's rounding",
        )
    ]


def _image(seed: int) -> tuple[Tensor, Tensor]:
    """Smooth CAMs `[K, H, W]` and a mask with void."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, len(PRESENT), 24, 32, generator=generator)
    cams = F.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0]
    ids = torch.tensor([0, *(c + 1 for c in PRESENT), 255], dtype=torch.uint8)
    blocks = torch.randint(0, len(ids), (1 + HEIGHT // 25, 1 + WIDTH // 25), generator=generator)
    truth = ids[blocks].repeat_interleave(25, 0).repeat_interleave(25, 1)[:HEIGHT, :WIDTH]
    return cams, truth.contiguous()
