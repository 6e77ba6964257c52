"""Which windows of which sizes of an image the segmenter looks at.

Like the published code: every scale of the image and its mirror image are cut into overlapping
windows; those smaller than a window are enlarged to it first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch.nn.functional as F
from torch import Tensor

from weaktr.config.values import Precision
from weaktr.device import images_per_pass

if TYPE_CHECKING:  # Else training, which needs windows for relabelling, would depend on it.
    from weaktr.config.evaluation import EvaluationParams

LONGEST = 8
"""Longest side of a network input, in windows or short sides: bounds the cost of thin strips."""


class SegmentationModel(Protocol):
    """What inference needs of a model, such as `Segmenter`, in evaluation mode."""

    @property
    def mean(self) -> Sequence[float]:
        """Mean of the input, RGB in [0, 1]."""

    @property
    def std(self) -> Sequence[float]:
        """Standard deviation of the input, RGB in [0, 1]."""

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""

    def masks(self, images: Tensor, /, *, with_early: bool = ...) -> Tensor:
        """From normalised images `[B, 3, H, W]` to logits `[B, K, h, w]`, one per patch.

        Images that the patch does not divide are padded, right and below. With `with_early`, which
        is passed only if `InferenceSettings.early_weight` asks for it, to early and final logits
        `[B, 2 * K, h, w]`.
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
        precision: Of the network, as `choose_precision` gives it.
        batch: Windows per forward pass; `None`: see `images_per_pass`.
    """

    window: int
    stride: int
    short_side: int | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = True
    early_weight: float = 0.0
    precision: Precision = "float32"
    batch: int | None = None

    @classmethod
    def of(cls, params: "EvaluationParams") -> "InferenceSettings":
        """The settings that `evaluation` params describe."""
        return cls(
            window=params.window,
            stride=params.stride,
            short_side=params.short_side,
            scales=params.scales,
            flip=params.flip,
            early_weight=params.early_weight,
            precision=params.precision,
        )

    def windows_per_pass(self, device: str) -> int:
        """Windows that go through the network together on a type of device."""
        if self.batch is not None:
            return self.batch
        return images_per_pass(self.window**2, device)

    @property
    def passes(self) -> int:
        """How many maps one image gets: of every scale and mirror image, and its early masks."""
        return len(self.scales) * (1 + self.flip) * self.masks_per_input

    @property
    def masks_per_input(self) -> int:
        """2 with the masks before the last decoder block, else 1."""
        return 2 if self.early_weight else 1


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
