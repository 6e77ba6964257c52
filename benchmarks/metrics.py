"""Streaming mIoU against a loop over classes."""

import torch
from torch import Tensor

from benchmarks.measure import Row, median_seconds, peak_mib
from oracles.class_loop import class_loop_counts
from weaktr.metrics.confusion import ConfusionMatrix

IMAGES, HEIGHT, WIDTH = 8, 375, 500
LABELS = (21, 81)


def run(device: torch.device, repeats: int) -> list[Row]:
    """Counts eight images of 500 x 375, with 21 and with 81 labels.

    Args:
        device: Where the masks are; the loop brings them to the CPU, as the published code does.
        repeats: Of either version.
    """
    return [_row(labels, device, repeats) for labels in LABELS]


def _row(labels: int, device: torch.device, repeats: int) -> Row:
    pairs = [_masks(labels, seed, device) for seed in range(IMAGES)]

    def loop() -> None:
        for prediction, target in pairs:
            class_loop_counts(prediction.cpu().numpy(), target.cpu().numpy(), labels)

    def streaming() -> None:
        confusion = ConfusionMatrix(labels, device)
        for prediction, target in pairs:
            confusion.update(prediction, target)
        confusion.matrix()

    steps = {"ours": streaming, "loop": loop}
    seconds = median_seconds(steps, device=device, repeats=repeats)
    return Row(
        step="streaming mIoU",
        setting=f"{labels} labels, {IMAGES} images of {WIDTH}x{HEIGHT}",
        seconds=seconds["ours"],
        reference="loop over classes (numpy)",
        reference_seconds=seconds["loop"],
        peak_mib=peak_mib(streaming, device),
    )


def _masks(labels: int, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """A prediction and a true mask, in blocks of one label, with void between them."""
    generator = torch.Generator().manual_seed(seed)
    block = 25
    grid = (HEIGHT // block, WIDTH // block)
    masks = [
        torch.randint(0, labels, grid, generator=generator, dtype=torch.int64)
        .repeat_interleave(block, 0)
        .repeat_interleave(block, 1)
        .to(torch.uint8)
        for _ in range(2)
    ]
    masks[1][::block] = 255
    return masks[0].to(device), masks[1].to(device)
