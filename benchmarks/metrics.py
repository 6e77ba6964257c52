"""Streaming mIoU against a loop over classes."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Bytes
from oracles.class_loop import class_loop_counts
from weaktr.metrics.confusion import ConfusionMatrix

IMAGES, HEIGHT, WIDTH = 8, 375, 500
LABELS = (21, 81)
LOOP = "loop over classes (numpy)"


def cases(device: torch.device) -> Iterator[Case]:
    """With 21 and with 81 labels: growth with the classes."""
    for labels in LABELS:
        yield Case(
            family="streaming mIoU, an image",
            name=f"{labels} labels",
            seconds=5,
            build=partial(_build, labels),
        )


def _build(labels: int, device: torch.device, stack: ExitStack) -> Race:
    """Masks are on the device; the loop brings them to the CPU, as the published code does."""
    pairs = [_masks(labels, seed, device) for seed in range(IMAGES)]

    def loop() -> None:
        for prediction, target in pairs:
            class_loop_counts(prediction.cpu().numpy(), target.cpu().numpy(), labels)

    def streaming() -> None:
        confusion = ConfusionMatrix(labels, device)
        for prediction, target in pairs:
            confusion.update(prediction, target)
        confusion.matrix()

    line = Line(
        setting=f"{labels} labels, {WIDTH}x{HEIGHT}",
        against=LOOP,
        limit=Bytes(2 * IMAGES * HEIGHT * WIDTH),
    )
    steps = {"ours": streaming, LOOP: loop}
    return Race(steps=steps, lines=[line], per=dict.fromkeys(steps, IMAGES))


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
