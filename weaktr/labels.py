"""From a CAM network to label maps: multi-scale CAMs, affinity, background score.

The steps and their order follow WeakTr (arXiv 2304.01184, section III-B), batched: a scale and its
flip go through the network together, as do images of equal shape, and only the maps of present
classes are propagated, enlarged and kept.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from weaktr.cams import PatchCAMs
from weaktr.models.cam import CAMNetwork

SCORE_MARGIN = 2.0**-24
"""A score must exceed the background's by more than this, float32's rounding error at 1."""


class CAMKind(NamedTuple):
    """Which maps of the network, and whether the patch affinity propagates them."""

    source: Literal["coarse", "fused"]
    affinity: bool


COARSE = CAMKind("coarse", affinity=False)
FUSED = CAMKind("fused", affinity=False)
FINE = CAMKind("fused", affinity=True)


def foreground_limit(background_score: float) -> float:
    """The float32 value that a CAM must exceed to win over `background_score`.

    The published code takes a softmax over the background score and the CAMs before it looks for
    the largest. That changes nothing but differences near float32's resolution, which it loses to
    the background; a margin has the same effect and, other than a softmax, holds for all
    thresholds alike, so that `weaktr.sweep.BackgroundSweep` is exact.
    """
    return float(np.float32(background_score) + np.float32(SCORE_MARGIN))


def best_class(cams: Tensor) -> tuple[Tensor, Tensor]:
    """Largest score and its index, pixel by pixel; of equal scores the first wins.

    The same as `cams.max(dim=0)`, an order of magnitude faster for the few classes of an image.

    Args:
        cams: `[K, H, W]`, K from 1 to 255.

    Returns:
        Scores `[H, W]` and indices uint8 `[H, W]`.
    """
    best = cams[0]
    index = torch.zeros(best.shape, dtype=torch.uint8, device=cams.device)
    for k in range(1, len(cams)):
        index = torch.maximum(index, (cams[k] > best).to(torch.uint8).mul_(k))
        best = torch.maximum(best, cams[k])
    return best, index


def cam_to_label(cams: Tensor, classes: Sequence[int], background_score: float) -> Tensor:
    """Label map from CAMs: the best class where it beats the background score.

    Ties go to the background, then to the class that comes first.

    Args:
        cams: `[K, H, W]` in [0, 1].
        classes: The K classes of the maps, 0-based.
        background_score: Score of the background at every pixel.

    Returns:
        uint8 `[H, W]`: 0 background, class + 1 elsewhere.
    """
    if not len(classes):
        return torch.zeros(cams.shape[1:], dtype=torch.uint8, device=cams.device)
    score, index = best_class(cams.float())
    ids = torch.tensor(classes, device=cams.device).add(1).to(torch.uint8)
    label = ids[index.long()]
    return label.mul_(score > foreground_limit(background_score))


def scaled_input(model: CAMNetwork, image: npt.NDArray[np.uint8], scale: float) -> Tensor:
    """One network input: the image resized (bicubic) and normalised for the model.

    Args:
        model: Gives the normalisation and the smallest side, one patch.
        image: RGB uint8 `[H, W, 3]`.
        scale: Factor for both sides, each rounded to whole pixels.

    Returns:
        float32 `[3, h, w]` in main memory.
    """
    height, width = (max(round(side * scale), model.patch_size) for side in image.shape[:2])
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float().div_(255)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.mean, model.std))
    return (pixels - mean) / std


def patch_cams(
    model: CAMNetwork, x: Tensor, kinds: Sequence[CAMKind] = (FINE,), classes: Tensor | None = None
) -> list[Tensor]:
    """CAMs of a batch of network inputs on the patch grid, one tensor a kind.

    Args:
        model: The CAM network.
        x: Normalised images `[B, 3, H, W]`.
        kinds: Which maps to return.
        classes: Indices of the K classes wanted; all when not given.

    Returns:
        For each kind `[B, K, h, w]`. Propagation is `affinity @ cam`: a patch receives the scores
        of the patches that it attends to.
    """
    maps = model.maps(x)
    results = []
    for kind in kinds:
        cam = getattr(maps, kind.source)
        if classes is not None:
            cam = cam[:, classes]
        if kind.affinity:
            cam = (cam.flatten(2) @ maps.affinity.transpose(1, 2)).view_as(cam)
        results.append(cam.float())
    return results


@torch.inference_mode()
def refine_multi_scale(
    model: CAMNetwork,
    images: Sequence[npt.NDArray[np.uint8]],
    present: Sequence[Sequence[int]],
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    kinds: Sequence[CAMKind] = (FINE,),
) -> list[list[PatchCAMs]]:
    """CAMs of images of equal shape, summed over scales and horizontal flips.

    Images without tags never reach the network: they get CAMs without classes.

    Args:
        model: The CAM network, in eval mode; inputs go to its device.
        images: RGB uint8 `[H, W, 3]`, all of one shape.
        present: For each image its classes, 0-based.
        scales: Factors of the input size.
        flip: Whether each scale is also seen flipped.
        kinds: Which maps to return.

    Returns:
        For each kind the CAMs of every image, on the model's device.
    """
    height, width = images[0].shape[:2]
    if any(image.shape != images[0].shape for image in images):
        raise ValueError(f"images must have one shape. Got: {[i.shape for i in images]}")
    device = next(model.parameters()).device
    tagged = [i for i, classes in enumerate(present) if len(classes)]
    union = sorted({c for i in tagged for c in present[i]})
    wanted = torch.tensor(union, dtype=torch.long, device=device)

    grids: list[list[Tensor]] = [[] for _ in kinds]  # kind -> scale -> [B, K, h, w]
    for scale in scales if tagged else ():
        x = torch.stack([scaled_input(model, images[i], scale) for i in tagged]).to(device)
        if flip:
            x = torch.cat([x, x.flip(-1)])
        for per_scale, cam in zip(grids, patch_cams(model, x, kinds, wanted), strict=True):
            if flip:
                plain, flipped = cam.chunk(2)
                cam = plain + flipped.flip(-1)
            per_scale.append(cam)

    results = []
    for per_scale in grids:
        empty = (torch.zeros(0, 1, 1, device=device),) * len(scales)
        cams = [PatchCAMs((), empty, height, width) for _ in images]
        for row, i in enumerate(tagged):
            classes = tuple(sorted(present[i]))
            columns = [union.index(c) for c in classes]
            own = tuple(grid[row, columns] for grid in per_scale)
            cams[i] = PatchCAMs(classes, own, height, width)
        results.append(cams)
    return results
