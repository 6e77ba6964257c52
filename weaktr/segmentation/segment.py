"""From images to label maps: sliding windows and then, where asked for, the dense CRF."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from weaktr.config.evaluation import EvaluationParams
from weaktr.crf.dense_crf import dense_crf
from weaktr.errors import UserError
from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.look import Seen, look
from weaktr.segmentation.network_passes import ScaleMasks, Side
from weaktr.segmentation.probabilities import best_labels, mean_probabilities
from weaktr.segmentation.sliding_window import InferenceSettings

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
    """Segments images of any shapes.

    Args:
        model: In evaluation mode; inputs go to its device.
        images: RGB uint8 `[H, W, 3]`.
        params: Windows, scales, flip and CRF.
        allowed: For each image the classes it may contain, 0-based, where they are known;
            background always may. `None`: all classes.
    """
    known = [None] * len(images) if allowed is None else allowed
    seen = look(model, images, InferenceSettings.of(params))
    return [decide(one, params, some).result for one, some in zip(seen, known, strict=True)]


@torch.inference_mode()
def decide(
    seen: Seen,
    params: EvaluationParams,
    allowed: Sequence[int] | None = None,
    *,
    stepwise: bool = False,
) -> Stepwise:
    """From what the network says about an image to its labels: may run beside the network.

    Args:
        seen: The image, looked at with the same params.
        params: Scales, flip and CRF.
        allowed: Classes that it may contain, 0-based, besides background; `None`: all.
        stepwise: Whether to tell the labels after each step, too.

    Raises:
        UserError: If the network put out numbers that are not finite, as float16 may.
    """
    image, passes = seen
    size = seen.size
    mask = None if allowed is None else _allowed_mask(allowed, passes[0].masks)
    steps: dict[str, Pixels] = {}
    if params.crf.backend == "none":
        labels, confidence = best_labels(passes, size, mask)
        result = Segmentation(labels[0].cpu().numpy(), confidence[0].cpu().numpy())
        averaged = result.labels
    else:
        probabilities = mean_probabilities(passes, _crf_size(size))[0]
        result = _refined(image, probabilities, params, None if mask is None else mask[0])
        averaged = _enlarged(probabilities.argmax(dim=0), size)
        steps[CRF] = result.labels
    if not np.isfinite(result.confidence).all():
        raise UserError(
            f"the network's output is not finite in {params.precision}; use the precision float32, "
            "or bfloat16 on a GPU that has it."
        )
    if params.flip or len(params.scales) > 1:
        steps[MULTI_SCALE] = averaged
    if not stepwise:
        return Stepwise(result, {})
    if 1.0 in params.scales:  # the passes at scale 1 that are not mirrored, the early masks' too
        settings = InferenceSettings.of(params)
        each = settings.masks_per_input
        first = params.scales.index(1.0) * each * (1 + params.flip)
        labels, _ = best_labels(passes[first : first + each], size)
        steps[SINGLE_SCALE] = labels[0].cpu().numpy()
    return Stepwise(result, {name: steps[name] for name in STEPS if name in steps})


def _enlarged(labels: Tensor, size: tuple[int, int]) -> Pixels:
    """A label map `[h, w]` at the size of its image `[H, W]`; CRFs of large images work on less."""
    found = labels.to(torch.uint8).cpu().numpy()
    if found.shape == size:
        return found
    height, width = size
    nearest = Image.Resampling.NEAREST
    return np.array(Image.fromarray(found).resize((width, height), nearest))


def _allowed_mask(allowed: Sequence[int], masks: Tensor) -> Tensor:
    """Bool `[1, K]`: background and the classes that an image may contain."""
    mask = torch.zeros(1, masks.shape[1], dtype=torch.bool)
    mask[:, [0, *(c + 1 for c in allowed)]] = True
    return mask.to(masks.device)


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
    logits = torch.from_numpy(marginals).clamp(min=1e-20).log()
    if small is image:
        best = logits.softmax(dim=0).max(dim=0)
        place, confidence = best.indices, best.values
    else:
        height, width = logits.shape[1:]
        rows, columns = (Side(n, n, n, grid=n, patch=1) for n in (height, width))
        masks = ScaleMasks(logits[None], rows, columns, flipped=False)
        (place,), (confidence,) = best_labels([masks], (image.shape[0], image.shape[1]))
    table = ids.to(torch.uint8).cpu().numpy()
    return Segmentation(table[place.numpy()], confidence.numpy())
