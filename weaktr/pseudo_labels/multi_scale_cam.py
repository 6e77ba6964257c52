"""CAMs of images, summed over scales and flips.

The steps and their order follow WeakTr (arXiv 2304.01184, section III-B), batched: a scale and its
flip go through the network together, as do images of equal shape, and only the maps of present
classes are propagated, enlarged and kept.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from weaktr.config.values import Precision
from weaktr.device import images_per_pass
from weaktr.models.cam_kinds import FINE, CAMKind
from weaktr.models.cam_network import CAMNetwork
from weaktr.precision import autocast, float32_products
from weaktr.pseudo_labels.patch_cams import PatchCAMs


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
    model: CAMNetwork,
    x: Tensor,
    kinds: Sequence[CAMKind] = (FINE,),
    classes: Tensor | None = None,
    precision: Precision = "float32",
) -> list[Tensor]:
    """CAMs of a batch of network inputs on the patch grid, one tensor per kind.

    Args:
        model: The CAM network.
        x: Normalised images `[B, 3, H, W]`.
        kinds: Which maps to return.
        classes: Indices of the K classes wanted; all when not given.
        precision: Of the network, as `choose_precision` gives it.

    Returns:
        For each kind float32 `[B, K, h, w]`.
    """
    with float32_products(precision, x.device):
        with autocast(precision, x.device):
            maps = model.maps(x)
        if classes is not None:
            maps = maps.of_classes(classes)
        return [kind.of(maps).float() for kind in kinds]


@torch.inference_mode()
def multi_scale_cams(
    model: CAMNetwork,
    images: Sequence[npt.NDArray[np.uint8]],
    present: Sequence[Sequence[int]],
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    kinds: Sequence[CAMKind] = (FINE,),
    precision: Precision = "float32",
    inputs: Sequence[Sequence[Tensor]] | None = None,
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
        precision: Of the network, as `choose_precision` gives it.
        inputs: For each image its `scaled_input` at every scale, where they were made ahead.

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
    for index, scale in enumerate(scales if tagged else ()):
        if inputs is None:
            x = torch.stack([scaled_input(model, images[i], scale) for i in tagged])
        else:
            x = torch.stack([inputs[i][index] for i in tagged])
        if flip:
            x = torch.cat([x, x.flip(-1)])
        together = images_per_pass(x.shape[-2] * x.shape[-1], device.type)
        parts = [
            patch_cams(model, part.to(device), kinds, wanted, precision)
            for part in x.split(together)
        ]
        for per_scale, *cams in zip(grids, *parts, strict=True):
            cam = torch.cat(cams)
            if flip:
                plain, flipped = cam.chunk(2)
                cam = plain + flipped.flip(-1)
            per_scale.append(cam)

    results = []
    for per_scale in grids:
        empty = (torch.zeros(0, 1, 1, device=device),) * len(scales)
        of_images = [PatchCAMs((), empty, height, width) for _ in images]
        for row, i in enumerate(tagged):
            classes = tuple(sorted(present[i]))
            columns = [union.index(c) for c in classes]
            own = tuple(grid[row, columns] for grid in per_scale)
            of_images[i] = PatchCAMs(classes, own, height, width)
        results.append(of_images)
    return results
