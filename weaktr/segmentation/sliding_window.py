"""Sliding-window, multi-scale and flip inference, for evaluation and for prediction alike.

Like the published code: logits are averaged where windows overlap, resized to the image, un-flipped
and soft-maxed; the probabilities of scales and flips are averaged. Where asked for, as in the
published evaluation, those of the masks before the last decoder block join in, with a weight.
Nothing outlives an image.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:  # Else training, which needs windows for relabelling, would depend on it.
    from weaktr.config.evaluation import EvaluationParams

LONGEST = 8
"""Longest side of a network input, in windows or short sides: bounds the cost of thin strips."""
BAND = 2**24
"""Probabilities held at a time when only labels are asked for."""


class SegmentationModel(Protocol):
    """What inference needs of a model, such as `Segmenter`, in evaluation mode."""

    @property
    def mean(self) -> Sequence[float]:
        """Mean of the input, RGB in [0, 1]."""

    @property
    def std(self) -> Sequence[float]:
        """Standard deviation of the input, RGB in [0, 1]."""

    def __call__(self, images: Tensor, /, *, with_early: bool = ...) -> Tensor:
        """From normalised images `[B, 3, H, W]` to logits `[B, K, H, W]`.

        With `with_early`, which is passed only if `InferenceSettings.early_weight` asks for it, to
        early and final logits `[B, 2 * K, H, W]`.
        """


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How a network is run over an image: windows, scales, flips, and what is averaged.

    Args:
        window: Side of a window in pixels.
        stride: Step between windows, at most `window`.
        short_side: Short side of an image at scale 1; `None`: the image's own.
        scales: Factors of the image's size, one pass for each.
        flip: Whether each scale is also run on the mirrored image.
        early_weight: Weight of the masks before the last decoder block; the final ones weigh 1.
        batch: Windows per forward pass.
    """

    window: int
    stride: int
    short_side: int | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = True
    early_weight: float = 0.0
    batch: int = 8

    @classmethod
    def of(cls, params: "EvaluationParams", batch: int = 8) -> "InferenceSettings":
        """The settings that `evaluation` params describe."""
        return cls(
            window=params.window,
            stride=params.stride,
            short_side=params.short_side,
            scales=params.scales,
            flip=params.flip,
            early_weight=params.early_weight,
            batch=batch,
        )


class ScaleLogits(NamedTuple):
    """What the network says about a batch at one scale."""

    logits: Tensor
    """`[B, K, h, w]` at the size of the network's input."""
    flipped: bool
    """Whether the input was mirrored."""
    weight: float = 1.0
    """Weight of its probabilities."""


def sliding_window_probabilities(
    model: SegmentationModel,
    images: Tensor,
    settings: InferenceSettings,
    size: tuple[int, int] | None = None,
    *,
    watch: Callable[[Iterator["ScaleLogits"]], Iterable["ScaleLogits"]] = iter,
) -> Tensor:
    """Class probabilities of every pixel.

    Args:
        model: In evaluation mode.
        images: Images of equal size, uint8 RGB `[B, H, W, 3]`, on the model's device.
        settings: How to cut and scale them.
        size: Height and width of the result; `None`: the images' own.
        watch: Sees the network's passes go by.

    Returns:
        Float32 `[B, K, H, W]`, summing to one over classes.
    """
    size = size or (images.shape[1], images.shape[2])
    inputs = scaled_inputs(images, settings, mean=model.mean, std=model.std)
    return mean_probabilities(watch(network_passes(model, inputs, settings)), size)


def sliding_window_labels(
    model: SegmentationModel,
    images: Tensor,
    settings: InferenceSettings,
    allowed: Tensor | None = None,
    *,
    watch: Callable[[Iterator["ScaleLogits"]], Iterable["ScaleLogits"]] = iter,
) -> tuple[Tensor, Tensor]:
    """Labels of every pixel without ever holding all their probabilities.

    The same as the argmax of `sliding_window_probabilities`, worked out in bands of rows, so that
    images of tens of megapixels fit in memory.

    Args:
        model: In evaluation mode.
        images: Images of equal size, uint8 RGB `[B, H, W, 3]`, on the model's device.
        settings: How to cut and scale them.
        allowed: Labels that an image may get, bool `[B, K]`; `None`: all.
        watch: Sees the network's passes go by.

    Returns:
        Labels, uint8 `[B, H, W]`, and the probability of each, float32 `[B, H, W]`.
    """
    size = (images.shape[1], images.shape[2])
    inputs = scaled_inputs(images, settings, mean=model.mean, std=model.std)
    return best_labels(list(watch(network_passes(model, inputs, settings))), size, allowed)


def best_labels(
    passes: Sequence[ScaleLogits], size: tuple[int, int], allowed: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Most probable label of every pixel at an image's own size, in bands of rows.

    Args:
        passes: Logits of each scale and flip, `[B, K, h, w]`.
        size: Height and width (H, W) of the image.
        allowed: Labels that an image may get, bool `[B, K]`; `None`: all.

    Returns:
        Labels, uint8 `[B, H, W]`, and the probability of each, float32 `[B, H, W]`.
    """
    H, W = size
    B, K = passes[0].logits.shape[:2]
    device = passes[0].logits.device
    rows = max(1, BAND // (B * K * W))
    labels = torch.empty((B, H, W), dtype=torch.uint8, device=device)
    confidence = torch.empty((B, H, W), device=device)
    for top in range(0, H, rows):
        bottom = min(top + rows, H)
        band = mean_probabilities(passes, size, rows=(top, bottom))
        if allowed is not None:
            band = band.masked_fill(~allowed[:, :, None, None], -1.0)
        best = band.max(dim=1)
        confidence[:, top:bottom] = best.values
        labels[:, top:bottom] = best.indices.to(torch.uint8)
    return labels, confidence


def scaled_inputs(
    images: Tensor, settings: InferenceSettings, *, mean: Sequence[float], std: Sequence[float]
) -> Iterator[tuple[Tensor, bool]]:
    """Normalised network inputs of each scale, and its mirror image if wanted.

    The resampling is the published one: bilinear without antialiasing, rounded to whole grey
    levels. Only where an image shrinks to less than half its size, which never happens to the
    published data sets, is it low-pass filtered.

    Args:
        images: uint8 `[B, H, W, 3]`.
        settings: Scales, flip, and short side at scale 1.
        mean: Normalisation of values from 0 to 1, one number per colour.
        std: The same.

    Yields:
        Inputs `[B, 3, h, w]` and whether they are mirrored.
    """
    levels = images.permute(0, 3, 1, 2).float()
    centre, spread = (255 * levels.new_tensor(value).view(3, 1, 1) for value in (mean, std))
    for scale in settings.scales:
        size = scaled_size(levels.shape[-2:], scale, settings.short_side)
        resized = levels
        if size != tuple(levels.shape[-2:]):
            shrinks = 2 * size[0] < levels.shape[-2]
            resized = F.interpolate(levels, size, mode="bilinear", antialias=shrinks)
            resized = resized.round_().clamp_(0, 255)
        normalised = (resized - centre) / spread
        yield normalised, False
        if settings.flip:
            yield normalised.flip(-1), True


def scaled_size(
    size: tuple[int, ...], scale: float, short_side: int | None = None
) -> tuple[int, int]:
    """Size of an image at a scale, rounded half up and never under one pixel.

    Args:
        size: Height and width.
        scale: Factor.
        short_side: Short side at scale 1; the long side is then bounded by eight of them, as in
            the published code. `None`: the image's own size is scale 1.

    >>> scaled_size((375, 500), 0.5)
    (188, 250)
    >>> scaled_size((375, 500), 0.5, short_side=520)
    (260, 347)
    """
    if short_side is not None:
        short = int(short_side * scale)
        scale = min(short / min(size), int(LONGEST * short_side * scale) / max(size))
    height, width = (max(1, int(side * scale + 0.5)) for side in size)
    return height, width


def num_logits(size: tuple[int, ...], settings: InferenceSettings, num_labels: int) -> int:
    """How many logits one image has in all passes together.

    Args:
        size: Height and width of the image.
        settings: How it is cut and scaled.
        num_labels: K.
    """
    scaled = [scaled_size(size, scale, settings.short_side) for scale in settings.scales]
    pixels = sum(math.prod(enlarged_size(one, settings.window)) for one in scaled)
    return pixels * num_labels * (1 + settings.flip) * (2 if settings.early_weight else 1)


@torch.no_grad()
def network_passes(
    model: Callable[..., Tensor], inputs: Iterable[tuple[Tensor, bool]], settings: InferenceSettings
) -> Iterator[ScaleLogits]:
    """Runs the network over windows of each input; an image and its mirror image go together.

    Args:
        model: In evaluation mode.
        inputs: Normalised images `[B, 3, h, w]` of any size, and whether they are mirrored.
            Neighbours of equal shape share batches.
        settings: Window, stride, weight of the early masks, and windows per pass.
    """
    early = settings.early_weight
    run = partial(model, with_early=True) if early else model
    for _, group in groupby(inputs, key=lambda item: item[0].shape):
        images, flips = zip(*group, strict=True)
        logits = sliding_window_logits(run, torch.cat(images), settings)
        for part, flipped in zip(logits.chunk(len(flips)), flips, strict=True):
            if early:
                first, part = part.chunk(2, dim=1)
                yield ScaleLogits(first, flipped, early)
            yield ScaleLogits(part, flipped)


@torch.no_grad()
def sliding_window_logits(
    model: Callable[[Tensor], Tensor], images: Tensor, settings: InferenceSettings
) -> Tensor:
    """Logits of a batch, averaged where windows overlap.

    Images smaller than the window are enlarged to it first. A strip more than eight times as long
    as wide is enlarged only until it is eight windows long, and padded with zeros across.

    Args:
        model: In evaluation mode.
        images: Normalised, `[B, 3, h, w]`.
        settings: Window, stride and windows per pass.

    Returns:
        Float32 `[B, K, h', w']`, where (h', w') is (h, w) or the enlarged size.
    """
    window = settings.window
    height, width = enlarged_size(images.shape[-2:], window)
    if (height, width) != tuple(images.shape[-2:]):
        images = F.interpolate(images, (height, width), mode="bilinear")
    images = F.pad(images, (0, max(0, window - width), 0, max(0, window - height)))
    B, _, H, W = images.shape
    tops = window_starts(H, window, settings.stride)
    lefts = window_starts(W, window, settings.stride)
    # One corner per crop; all images of a window lie side by side.
    corners = [(b, top, left) for top in tops for left in lefts for b in range(B)]
    total: Tensor | None = None
    for first in range(0, len(corners), settings.batch):
        chunk = corners[first : first + settings.batch]
        crops = torch.stack(
            [images[b, :, top : top + window, left : left + window] for b, top, left in chunk]
        )
        logits = model(crops).float()
        if total is None:
            total = logits.new_zeros((B, logits.shape[1], H, W))
        for (b, top, left), part in zip(chunk, logits, strict=True):
            total[b, :, top : top + window, left : left + window] += part
    assert total is not None  # every side has at least one window
    total /= _cover(tops, H, window, total)[:, None] * _cover(lefts, W, window, total)
    return total[..., :height, :width]


def mean_probabilities(
    passes: Iterable[ScaleLogits], size: tuple[int, int], rows: tuple[int, int] | None = None
) -> Tensor:
    """Probabilities at an image's own size, averaged over scales and flips.

    Args:
        passes: Logits of each scale and flip, `[B, K, h, w]`.
        size: Height and width of the image.
        rows: First and last + 1 row to work out; `None`: all.

    Returns:
        Float32 `[B, K, rows, W]`.
    """
    total: Tensor | None = None
    weights = 0.0
    for logits, flipped, weight in passes:
        resized = _resize_rows(logits, size, rows or (0, size[0]))
        if flipped:
            resized = resized.flip(-1)
        probabilities = resized.softmax(dim=1).mul_(weight)
        total = probabilities if total is None else total.add_(probabilities)
        weights += weight
    if total is None:
        raise ValueError("there must be at least one scale. Got: none")
    return total.div_(weights)


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side: every `stride`, the last one flush with the end.

    Args:
        length: Pixels of the side, at least `window`.
        window: Pixels of a window.
        stride: Pixels between two starts.

    >>> window_starts(11, window=6, stride=4)
    [0, 4, 5]
    """
    return [*range(0, length - window, stride), length - window]


def enlarged_size(size: tuple[int, ...], window: int) -> tuple[int, int]:
    """Height and width at which the short side fills a window, or as given if it does already.

    A strip grows only until it is as long as eight windows.

    >>> enlarged_size((30, 60), window=40)
    (40, 80)
    >>> enlarged_size((2, 100), window=40)
    (6, 320)
    """
    height, width = size
    short, long = min(size), max(size)
    if short >= window:
        return height, width
    if long > LONGEST * short:
        new_long = max(long, LONGEST * window)
        new_short = max(1, short * new_long // long)
    else:
        new_short, new_long = window, long * window // short
    return (new_short, new_long) if height <= width else (new_long, new_short)


def _cover(starts: list[int], length: int, window: int, like: Tensor) -> Tensor:
    """How many windows cover each pixel of a side: `[length]`."""
    count = like.new_zeros(length)
    for start in starts:
        count[start : start + window] += 1
    return count


def _resize_rows(x: Tensor, size: tuple[int, int], rows: tuple[int, int]) -> Tensor:
    """Some rows of a bilinear resize: `[B, K, h, w]` to `[B, K, rows[1] - rows[0], W]`."""
    if rows == (0, size[0]):
        return F.interpolate(x, size, mode="bilinear")
    height = x.shape[-2]
    centres = torch.arange(*rows, device=x.device, dtype=x.dtype) + 0.5
    position = (centres * (height / size[0]) - 0.5).clamp(min=0)
    above = position.long().clamp(max=height - 1)
    below = (above + 1).clamp(max=height - 1)
    band = torch.lerp(x[..., above, :], x[..., below, :], (position - above)[:, None])
    return F.interpolate(band, (band.shape[-2], size[1]), mode="bilinear")
