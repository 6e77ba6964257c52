"""The segmenter the plain way: timm's own blocks, one image at a time, all scales kept.

It runs on the modules of a `Segmenter`, so that weights are shared.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter

BATCH = 4
"""Windows of a forward pass, as published."""


def plain_logits(segmenter: Segmenter, x: Tensor) -> Tensor:
    """Logits `[B, K, H, W]` of normalised images `[B, 3, H, W]` whose sides are whole patches."""
    tokens, _, grid = segmenter.encoder.embed(x)
    for block in segmenter.encoder.blocks:
        tokens = block(tokens)
    tokens = segmenter.encoder.split(tokens, grid).patches
    decoder = segmenter.decoder
    tokens = decoder.input_projection(tokens)
    tokens = torch.cat([tokens, decoder.class_embedding.expand(len(x), -1, -1)], dim=1)
    tokens = decoder.norm(decoder.blocks(tokens))
    patches, classes = tokens.split([grid[0] * grid[1], decoder.class_embedding.shape[1]], dim=1)
    patches, classes = patches @ decoder.patch_projection, classes @ decoder.class_projection
    patches = patches / patches.norm(dim=-1, keepdim=True)
    classes = classes / classes.norm(dim=-1, keepdim=True)
    masks = decoder.mask_norm(patches @ classes.mT).mT.unflatten(2, grid)
    masks = masks[:, : segmenter.num_labels]
    return F.interpolate(masks.float(), x.shape[-2:], mode="bilinear")


@contextmanager
def explicit_attention(segmenter: Segmenter) -> Iterator[None]:
    """Softmax over whole `[N, N]` score arrays inside the block, as in the published code."""
    attentions = [block.attn for block in (*segmenter.encoder.blocks, *segmenter.decoder.blocks)]
    fused = [attention.fused_attn for attention in attentions]
    for attention in attentions:
        attention.fused_attn = False
    try:
        yield
    finally:
        for attention, value in zip(attentions, fused, strict=True):
            attention.fused_attn = value


@torch.no_grad()
def plain_evaluation(
    segmenter: Segmenter,
    image: Pixels,
    *,
    window: int,
    stride: int,
    short_side: int,
    scales: tuple[float, ...],
) -> Pixels:
    """Labels `[H, W]` of an image `[H, W, 3]`, averaged over scales and mirror images.

    The published evaluation: windows four at a time, logits put together and resized to the image
    for each scale and flip, all kept until the end.
    """
    device = next(segmenter.parameters()).device
    levels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float()
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in _normal(segmenter))
    size = levels.shape[-2:]
    maps = []
    for scale in scales:
        factor = int(short_side * scale) / min(size)
        height, width = (int(side * factor + 0.5) for side in size)
        resized = F.interpolate(levels, (height, width), mode="bilinear").round().clamp(0, 255)
        for flip in (False, True):
            x = (resized / 255 - mean) / std
            logits = _sliding_window(segmenter, x.flip(-1) if flip else x, window, stride)
            logits = F.interpolate(logits, size, mode="bilinear")
            maps.append((logits.flip(-1) if flip else logits).softmax(dim=1))
    return torch.cat(maps).mean(dim=0).argmax(dim=0).to(torch.uint8).cpu().numpy()


def _normal(segmenter: Segmenter) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(segmenter.mean), tuple(segmenter.std)


def _sliding_window(segmenter: Segmenter, x: Tensor, window: int, stride: int) -> Tensor:
    """Logits `[1, K, H, W]`, averaged where windows overlap."""
    short = min(x.shape[-2:])
    if short < window:
        x = F.interpolate(x, [side * window // short for side in x.shape[-2:]], mode="bilinear")
    places = [
        (top, left)
        for top in _starts(x.shape[-2], window, stride)
        for left in _starts(x.shape[-1], window, stride)
    ]
    crops = [x[0, :, top : top + window, left : left + window] for top, left in places]
    parts = [
        plain_logits(segmenter, torch.stack(crops[first : first + BATCH]))
        for first in range(0, len(crops), BATCH)
    ]
    total = x.new_zeros((segmenter.num_labels, *x.shape[-2:]))
    count = x.new_zeros(x.shape[-2:])
    for (top, left), logits in zip(places, torch.cat(parts), strict=True):
        total[:, top : top + window, left : left + window] += logits
        count[top : top + window, left : left + window] += 1
    return (total / count)[None]


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin; the last one ends with the image."""
    return [*np.arange(0, length - window, stride).tolist(), length - window]
