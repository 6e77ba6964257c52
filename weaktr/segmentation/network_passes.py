"""The network over windows: of all scales, mirror images and images, packed into full passes.

All windows have one size, whatever image and scale they come from, so that they share forward
passes. What is kept of a window is its masks at patch resolution, 256 times less than its logits at
patch 16; `weaktr.segmentation.probabilities` makes pixels of them.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from weaktr.precision import autocast, float32_products
from weaktr.segmentation.sliding_window import (
    InferenceSettings,
    SegmentationModel,
    enlarged_size,
    window_starts,
)


@dataclass(frozen=True)
class Side:
    """How the windows' masks lie along one side of a network input.

    Attributes:
        length: Pixels of the side, before any padding to a window.
        window: Pixels of a window.
        stride: Pixels from one window to the next.
        grid: Patches of a window, the last of which may reach beyond it.
        patch: Pixels of a patch.
    """

    length: int
    window: int
    stride: int
    grid: int
    patch: int

    @property
    def starts(self) -> list[int]:
        """Where windows begin."""
        return window_starts(max(self.length, self.window), self.window, self.stride)

    def spread(self, size: int) -> Tensor:
        """The matrix that makes `size` pixels of all windows' patches, float32 `[size, n * grid]`.

        It enlarges each window's masks, averages windows where they overlap and resizes the result:
        three bilinear steps along this side, as the published code takes them one after another.
        """
        return _spread(self, size)


@lru_cache(maxsize=16)  # scales and mirror images of one image, and of others of its shape
def _spread(side: Side, size: int) -> Tensor:
    starts = side.starts
    enlarge = _resize(np.eye(side.grid), side.grid * side.patch)[: side.window]
    pixels = np.zeros((max(side.length, side.window), len(starts) * side.grid))
    cover = np.zeros((len(pixels), 1))
    for index, start in enumerate(starts):
        columns = slice(index * side.grid, (index + 1) * side.grid)
        pixels[start : start + side.window, columns] = enlarge
        cover[start : start + side.window] += 1
    return torch.from_numpy(_resize((pixels / cover)[: side.length], size)).float()


def _resize(x: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """A bilinear resize of rows, `[n, m]` to `[size, m]`, at the places that torch rounds to."""
    if size == len(x):
        return x
    ratio = np.float32(len(x)) / np.float32(size)
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    places = np.maximum(ratio * centres - np.float32(0.5), np.float32(0))
    above = np.minimum(places.astype(np.int64), len(x) - 1)
    below = np.minimum(above + 1, len(x) - 1)
    share = (places - above).astype(np.float64)[:, None]
    return x[above] * (1 - share) + x[below] * share


class ScaleMasks(NamedTuple):
    """What the network says about a batch at one scale."""

    masks: Tensor
    """Float32 `[B, K, n * g, m * g]`: the masks of n x m windows of g x g patches, side by side."""
    rows: Side
    columns: Side
    flipped: bool
    """Whether the input was mirrored."""
    weight: float = 1.0
    """Weight of its probabilities."""


@dataclass
class _Waiting:
    """An input whose windows are on their way."""

    images: int
    rows: tuple[int, int]
    """Pixels, and windows along them."""
    columns: tuple[int, int]
    flipped: bool
    found: list[Tensor] = field(default_factory=list)
    """Masks of windows `[K, g, g]`."""

    @property
    def is_complete(self) -> bool:
        return len(self.found) == self.images * self.rows[1] * self.columns[1]


@torch.inference_mode()
def network_passes(
    model: SegmentationModel, inputs: Iterable[tuple[Tensor, bool]], settings: InferenceSettings
) -> Iterator[ScaleMasks]:
    """Runs the network over all windows of each input.

    Images smaller than the window are enlarged to it first. A strip more than eight times as long
    as wide is enlarged only until it is eight windows long, and padded with zeros across.

    Args:
        model: In evaluation mode.
        inputs: Normalised images `[B, 3, h, w]` of any size, and whether they are mirrored; read
            as far as the next forward pass needs them.
        settings: Window, stride, weight of the early masks, and windows per pass.

    Yields:
        The masks of every input, in their order; of the early masks, first.
    """
    waiting: deque[_Waiting] = deque()
    crops: list[Tensor] = []
    for images, flipped in inputs:
        one, windows = _cut(images, flipped, settings)
        waiting.append(one)
        for crop in windows:
            crops.append(crop)
            if len(crops) == settings.windows_per_pass(images.device.type):
                _run(model, crops, waiting, settings)
                crops = []
                while waiting and waiting[0].is_complete:
                    yield from _scale_masks(waiting.popleft(), model, settings)
    if crops:
        _run(model, crops, waiting, settings)
    while waiting:
        yield from _scale_masks(waiting.popleft(), model, settings)


def _cut(
    images: Tensor, flipped: bool, settings: InferenceSettings
) -> tuple[_Waiting, Iterator[Tensor]]:
    """The windows of an input `[B, 3, h, w]`, all images of a window side by side."""
    window = settings.window
    height, width = enlarged_size(images.shape[-2:], window)
    if (height, width) != tuple(images.shape[-2:]):
        images = F.interpolate(images, (height, width), mode="bilinear")
    images = F.pad(images, (0, max(0, window - width), 0, max(0, window - height)))
    tops = window_starts(images.shape[-2], window, settings.stride)
    lefts = window_starts(images.shape[-1], window, settings.stride)
    waiting = _Waiting(len(images), (height, len(tops)), (width, len(lefts)), flipped)
    crops = (
        image[:, top : top + window, left : left + window]
        for top in tops
        for left in lefts
        for image in images
    )
    return waiting, crops


def _run(
    model: SegmentationModel,
    crops: list[Tensor],
    waiting: Iterable[_Waiting],
    settings: InferenceSettings,
) -> None:
    """One forward pass; every mask goes to the input whose turn it is."""
    run = partial(model.masks, with_early=True) if settings.early_weight else model.masks
    device = crops[0].device
    with autocast(settings.precision, device), float32_products(settings.precision, device):
        masks = iter(run(torch.stack(crops)).float())
    for one in waiting:
        while not one.is_complete:
            mask = next(masks, None)
            if mask is None:
                return
            one.found.append(mask)


def _scale_masks(
    one: _Waiting, model: SegmentationModel, settings: InferenceSettings
) -> Iterator[ScaleMasks]:
    """Puts the windows' masks side by side."""
    windows = torch.stack(one.found)
    grid = windows.shape[-2:]
    shape = (one.rows[1], one.columns[1], one.images)
    rows, columns = (
        Side(length, settings.window, settings.stride, patches, model.patch_size)
        for (length, _), patches in zip((one.rows, one.columns), grid, strict=True)
    )
    together = windows.unflatten(0, shape).permute(2, 3, 0, 4, 1, 5)  # [B, K, n, g, m, g]
    together = together.flatten(4).flatten(2, 3)
    if settings.early_weight:
        early, together = together.chunk(2, dim=1)
        yield ScaleMasks(early, rows, columns, one.flipped, settings.early_weight)
    yield ScaleMasks(together, rows, columns, one.flipped)
