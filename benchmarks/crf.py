"""Dense CRF on the lattice in torch, against pydensecrf, on one CPU thread each."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.measure import Row, median_seconds, peak_mib
from weaktr.config.crf import CrfParams
from weaktr.crf.dense_crf import dense_crf

HEIGHT, WIDTH = 375, 500
LABELS = (3, 21)


def run(device: torch.device, repeats: int) -> list[Row]:
    """Ten iterations with VOC's kernels on an image of 500 x 375, with 3 and with 21 labels.

    Args:
        device: Where the lattice backend computes; pydensecrf has the CPU only.
        repeats: Of either version.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_row(count, device, repeats) for count in LABELS]
    finally:
        torch.set_num_threads(threads)


def _row(count: int, device: torch.device, repeats: int) -> Row:
    image, labels = scene(count)
    crf = partial(dense_crf, image, labels=labels, num_labels=count)
    ours = partial(crf, params=CrfParams(backend="lattice"), device=device)
    theirs = partial(crf, params=CrfParams(backend="pydensecrf"))
    steps = {"ours": ours, "pydensecrf": theirs}
    seconds = median_seconds(steps, device=device, repeats=repeats)
    difference = float(np.abs(ours() - theirs()).max())
    return Row(
        step="dense CRF",
        setting=f"{count} labels, {WIDTH}x{HEIGHT}, 10 iterations, one CPU thread",
        seconds=seconds["ours"],
        reference="pydensecrf2",
        reference_seconds=seconds["pydensecrf"],
        peak_mib=peak_mib(ours, device) if device.type == "cuda" else None,
        note=f"largest difference of a marginal {difference:.0e}",
    )


def scene(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A photograph-like image, coloured shapes with shading and grain, and a coarse label map."""
    generator = torch.Generator().manual_seed(0)

    def smooth(cells: int, channels: int) -> torch.Tensor:
        noise = torch.randn(1, channels, cells, cells, generator=generator)
        return F.interpolate(noise, (HEIGHT, WIDTH), mode="bicubic", align_corners=False)[0]

    regions = smooth(6, count).argmax(0)
    colours = torch.randint(40, 216, (count, 3), generator=generator).float()
    grain = torch.randn(3, HEIGHT, WIDTH, generator=generator)
    pixels = colours[regions].permute(2, 0, 1) + 18 * smooth(30, 3) + 4 * grain
    image = pixels.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    labels = regions.to(torch.uint8).roll((6, 9), (0, 1))
    return image.numpy(), labels.numpy()
