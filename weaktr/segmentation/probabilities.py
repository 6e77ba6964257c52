"""From masks of windows at patch resolution to probabilities and labels of an image's pixels.

Like the published code: logits are averaged where windows overlap, resized to the image, un-flipped
and soft-maxed; the probabilities of scales and flips are averaged. Where asked for, as in the
published evaluation, those of the masks before the last decoder block join in, with a weight.

All steps before the softmax are linear and act on rows and columns apart: a product with one matrix
from the left and one from the right. It is taken tile by tile, for all scales in turn, so that the
logits of a whole image never exist.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from weaktr.segmentation.network_passes import ScaleMasks

TILE = {"cpu": 2**19, "cuda": 2**25}
"""Probabilities worked out at a time: few enough for a CPU's cache, many enough for a GPU."""
COLUMNS = 1024
"""Widest tile, in pixels."""


def mean_probabilities(passes: Sequence[ScaleMasks], size: tuple[int, int]) -> Tensor:
    """Probabilities at an image's own size, averaged over scales and flips.

    Args:
        passes: Of every scale and flip.
        size: Height and width (H, W) of the image.

    Returns:
        Float32 `[B, K, H, W]`, summing to one over classes.
    """
    B, K, device = _facts(passes)
    probabilities = torch.empty((B, K, *size), device=device)
    for rows, columns, tile in _tiles(passes, size):
        probabilities[..., rows, columns] = tile
    return probabilities


def best_labels(
    passes: Sequence[ScaleMasks], size: tuple[int, int], allowed: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Most probable label of every pixel, without ever holding all probabilities.

    Args:
        passes: Of every scale and flip.
        size: Height and width (H, W) of the image.
        allowed: Labels that an image may get, bool `[B, K]`; `None`: all.

    Returns:
        Labels, uint8 `[B, H, W]`, and the probability of each, float32 `[B, H, W]`.
    """
    B, _, device = _facts(passes)
    labels = torch.empty((B, *size), dtype=torch.uint8, device=device)
    confidence = torch.empty((B, *size), device=device)
    for rows, columns, tile in _tiles(passes, size):
        if allowed is not None:
            tile = tile.masked_fill(~allowed[:, :, None, None], -1.0)
        best = tile.max(dim=1)
        confidence[:, rows, columns] = best.values
        labels[:, rows, columns] = best.indices.to(torch.uint8)
    return labels, confidence


def _facts(passes: Sequence[ScaleMasks]) -> tuple[int, int, torch.device]:
    """Images, labels and device."""
    if not passes:
        raise ValueError("there must be at least one scale. Got: none")
    masks = passes[0].masks
    return masks.shape[0], masks.shape[1], masks.device


class _Band(NamedTuple):
    """Some rows of a matrix that spreads patches over pixels, and the patches that they take."""

    pixels: slice
    patches: slice
    matrix: Tensor


def _bands(matrix: Tensor, step: int, device: torch.device) -> list[_Band]:
    bands = []
    for first in range(0, len(matrix), step):
        pixels = slice(first, min(first + step, len(matrix)))
        used = matrix[pixels].any(dim=0).nonzero().flatten()
        patches = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(_Band(pixels, patches, matrix[pixels, patches].to(device)))
    return bands


def _tiles(
    passes: Sequence[ScaleMasks], size: tuple[int, int]
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows, columns, and their mean probabilities `[B, K, rows, columns]`."""
    B, K, device = _facts(passes)
    width = min(size[1], COLUMNS)
    height = max(1, TILE.get(device.type, TILE["cuda"]) // (B * K * width))
    total_weight = sum(one.weight for one in passes)
    across = []
    for one in passes:
        matrix = one.columns.spread(size[1])
        across.append(_bands(matrix.flip(0) if one.flipped else matrix, width, device))
    down = [_bands(one.rows.spread(size[0]), height, device) for one in passes]
    for rows in zip(*down, strict=True):
        for columns in zip(*across, strict=True):
            tile: Tensor | None = None
            for one, row, column in zip(passes, rows, columns, strict=True):
                masks = one.masks[..., row.patches, column.patches]
                logits = row.matrix @ masks @ column.matrix.mT
                probabilities = logits.softmax(dim=1)
                if one.weight != 1:
                    probabilities.mul_(one.weight)
                tile = probabilities if tile is None else tile.add_(probabilities)
            assert tile is not None
            yield rows[0].pixels, columns[0].pixels, tile.div_(total_weight)
