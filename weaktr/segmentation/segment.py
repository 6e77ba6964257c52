"""From images to label maps: sliding windows and then, where asked for, the dense CRF."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from weaktr.config.evaluation import EvaluationParams
from weaktr.crf.dense_crf import dense_crf
from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.sliding_window import (
    InferenceSettings,
    ScaleLogits,
    best_labels,
    num_logits,
    sliding_window_labels,
    sliding_window_probabilities,
)

LOGITS = 2**29
"""Logits that images which go together may hold; one image alone may hold more."""
CRF_PIXELS = 2**20
"""Larger images go through the CRF at about this many pixels; its marginals are enlarged again."""

SINGLE_SCALE, MULTI_SCALE, CRF = STEPS = ("single_scale", "multi_scale", "crf")
"""Steps to a label map: the network's own at scale 1, with the average over scales and mirror
images, with the CRF. Only those that params ask for are taken."""


class Segmentation(NamedTuple):
    """What was found in one image."""

    labels: Pixels
    """`[H, W]`."""
    confidence: npt.NDArray[np.float32]
    """Probability of each pixel's label, `[H, W]`."""


class Stepwise(NamedTuple):
    """What was found in one image, and on the way there."""

    result: Segmentation
    steps: dict[str, Pixels]
    """Labels `[H, W]` after each of the `STEPS` that was taken."""


def segment(
    model: Segmenter,
    images: Sequence[Pixels],
    params: EvaluationParams,
    allowed: Sequence[Sequence[int]] | None = None,
) -> list[Segmentation]:
    """Segments images of equal shape, as many at a time as memory allows.

    Args:
        model: In evaluation mode; inputs go to its device.
        images: RGB uint8 `[H, W, 3]`, all of one shape.
        params: Windows, scales, flip and CRF.
        allowed: For each image the classes it may contain, 0-based, where they are known;
            background always may. `None`: all classes.
    """
    found = _in_batches(model, images, params, allowed, stepwise=False)
    return [one.result for one in found]


def segment_stepwise(
    model: Segmenter, images: Sequence[Pixels], params: EvaluationParams
) -> list[Stepwise]:
    """The same as `segment`, with the labels after each step, from the same network passes."""
    return _in_batches(model, images, params, None, stepwise=True)


@torch.inference_mode()
def _in_batches(
    model: Segmenter,
    images: Sequence[Pixels],
    params: EvaluationParams,
    allowed: Sequence[Sequence[int]] | None,
    stepwise: bool,
) -> list[Stepwise]:
    """Arguments as for `segment`; without `stepwise` no steps are told."""
    each = num_logits(images[0].shape[:2], InferenceSettings.of(params), model.num_labels)
    together = max(1, LOGITS // each)
    results = []
    for first in range(0, len(images), together):
        some = slice(first, first + together)
        known = None if allowed is None else allowed[some]
        results += _segment_together(model, images[some], params, known, stepwise)
    return results


def _segment_together(
    model: Segmenter,
    images: Sequence[Pixels],
    params: EvaluationParams,
    allowed: Sequence[Sequence[int]] | None,
    stepwise: bool,
) -> list[Stepwise]:
    """One batch; arguments as for `_in_batches`."""
    device = next(model.parameters()).device
    batch = torch.from_numpy(np.stack(images)).to(device)
    size = (batch.shape[1], batch.shape[2])
    settings = InferenceSettings.of(params)
    mask = None if allowed is None else _allowed_mask(allowed, model.num_labels, device)
    plain: list[ScaleLogits] = []
    watch = partial(_keeping_plain, settings, plain) if stepwise else iter
    steps: dict[str, Sequence[Pixels]] = {}
    if params.crf.backend == "none":
        labels, confidence = sliding_window_labels(model, batch, settings, mask, watch=watch)
        pairs = zip(labels.cpu().numpy(), confidence.cpu().numpy(), strict=True)
        results = [Segmentation(*pair) for pair in pairs]
        averaged = [one.labels for one in results]
    else:
        probabilities = sliding_window_probabilities(
            model, batch, settings, _crf_size(size), watch=watch
        )
        results = [
            _refined(image, one, params, None if mask is None else mask[index])
            for index, (image, one) in enumerate(zip(images, probabilities, strict=True))
        ]
        averaged = _enlarged(probabilities.argmax(dim=1), size) if stepwise else []
        steps[CRF] = [one.labels for one in results]
    if settings.flip or len(settings.scales) > 1:
        steps[MULTI_SCALE] = averaged
    if plain:
        steps[SINGLE_SCALE] = list(best_labels(plain, size)[0].cpu().numpy())
    return [
        Stepwise(one, {name: steps[name][i] for name in STEPS if name in steps and stepwise})
        for i, one in enumerate(results)
    ]


def _keeping_plain(
    settings: InferenceSettings, kept: list[ScaleLogits], passes: Iterator[ScaleLogits]
) -> Iterator[ScaleLogits]:
    """Lets passes by, and keeps those at scale 1 that are not mirrored, the early masks' too."""
    each = 2 if settings.early_weight else 1
    first = None
    if 1.0 in settings.scales:
        first = settings.scales.index(1.0) * each * (1 + settings.flip)
    for index, one in enumerate(passes):
        if first is not None and first <= index < first + each:
            kept.append(one)
        yield one


def _enlarged(labels: Tensor, size: tuple[int, int]) -> list[Pixels]:
    """Label maps `[B, h, w]` at the size of the images, `[H, W]` each; CRFs of large images work
    on less."""
    maps = list(labels.to(torch.uint8).cpu().numpy())
    if labels.shape[1:] == size:
        return maps
    height, width = size
    nearest = Image.Resampling.NEAREST
    return [np.array(Image.fromarray(one).resize((width, height), nearest)) for one in maps]


def _allowed_mask(
    allowed: Sequence[Sequence[int]], num_labels: int, device: torch.device
) -> Tensor:
    """Bool `[B, K]`: background and the classes that each image may contain."""
    mask = torch.zeros(len(allowed), num_labels, dtype=torch.bool)
    mask[:, 0] = True
    for row, classes in zip(mask, allowed, strict=True):
        row[[c + 1 for c in classes]] = True
    return mask.to(device)


def _crf_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which the CRF works."""
    factor = min(1.0, math.sqrt(CRF_PIXELS / (size[0] * size[1])))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _refined(
    image: Pixels, probabilities: Tensor, params: EvaluationParams, allowed: Tensor | None
) -> Segmentation:
    """CRF over the labels that an image may have or, where that is not known, seems to have.

    As in the published code, the probabilities of those labels are not renormalised.

    Args:
        image: RGB `[H, W, 3]`.
        probabilities: `[K, h, w]` at the size at which the CRF works.
        params: Gives the CRF.
        allowed: Bool `[K]`.
    """
    found = probabilities.argmax(dim=0).unique()
    ids = found if allowed is None else allowed.nonzero().flatten()
    small = image
    if image.shape[:2] != probabilities.shape[1:]:
        height, width = probabilities.shape[1:]
        small = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    marginals = dense_crf(
        small,
        probabilities=probabilities[ids].float().cpu().numpy(),
        params=params.crf,
        num_labels=len(ids),
        device=probabilities.device,
    )
    logits = torch.from_numpy(marginals)[None].clamp(min=1e-20).log()
    place, confidence = best_labels([ScaleLogits(logits, flipped=False)], image.shape[:2])
    table = ids.to(torch.uint8).cpu().numpy()
    return Segmentation(table[place[0].numpy()], confidence[0].numpy())
