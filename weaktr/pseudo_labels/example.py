"""How one image becomes a pseudo-label, with the maps on the way: for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from weaktr.config.labels import LabelParams
from weaktr.labels import Pixels
from weaktr.models.cam_kinds import COARSE, FINE, FUSED
from weaktr.models.cam_network import CAMNetwork
from weaktr.precision import choose_precision
from weaktr.pseudo_labels.image_label import pseudo_label
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ExampleMaps:
    """What the CAM network makes of one image.

    Attributes:
        coarse: CAMs of the tags `[K, H, W]` in [0, 1], before attention.
        seed: The CAMs that labels are made of, likewise.
        label: Pseudo-label `[H, W]`.
    """

    coarse: Floats
    seed: Floats
    label: Pixels


@torch.inference_mode()
def example_maps(
    model: CAMNetwork,
    image: Pixels,
    present: Sequence[int],
    params: LabelParams,
    background_score: float,
) -> ExampleMaps:
    """Labels one image as the export does.

    Args:
        model: In evaluation mode.
        image: RGB `[H, W, 3]` at the size that labels are made at.
        present: Its tags, 0-based; at least one.
        params: The `labels` section.
        background_score: Score of the background.
    """
    kinds = (COARSE, FINE if params.affinity else FUSED)
    device = next(model.parameters()).device
    found = multi_scale_cams(
        model,
        [image],
        [present],
        scales=params.scales,
        flip=params.flip,
        kinds=kinds,
        precision=choose_precision(params.precision, device, given_as="labels.precision"),
    )
    coarse, seed = (one.cpu() for (one,) in found)
    full = seed.full()
    label = pseudo_label(
        full, seed.classes, image, background_score=background_score, crf=params.crf
    )
    return ExampleMaps(
        coarse=coarse.full().numpy(),
        seed=full.numpy(),
        label=label,
    )
