"""What can be said of every head of an image without a mask."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from weaktr.heads.seen import SeenImage
from weaktr.models.attention_lift import affinity_lift, class_row_lift, measurable, objects


class HeadFacts(NamedTuple):
    """Of one image, each `[L, H]`; what no object allows to measure is NaN.

    Attributes:
        weight: The fusion's weight, in the affinity.
        row_weight: Its weight in the class rows: the same, but with `cam.fusion: lift`.
        entropy: Of the patches' attention to all tokens, as a share of the largest possible: 0
            where each patch looks at one token, 1 where it looks at all alike.
        distance: Between a patch and those that it attends to, mean in patches.
        class_row: Share of the class tokens' attention to patches that lies on the object, less the
            share of patches that the object has: 0 for a head that looks nowhere in particular.
        affinity: Share of the attention of the object's patches that stays on the object, less the
            share that the other patches spend on it: 0 likewise.
    """

    weight: Tensor
    row_weight: Tensor
    entropy: Tensor
    distance: Tensor
    class_row: Tensor
    affinity: Tensor


@torch.inference_mode()
def head_facts(seen: SeenImage) -> HeadFacts:
    """Measures all heads on one image, its objects taken from the coarse CAM."""
    inside = objects(seen.coarse)
    known = measurable(inside)
    inside = inside[known]
    apart = _distances(seen.grid, seen.coarse.device)
    entropies, distances, affinities = [], [], []
    for attention in seen.patch_attention():
        tokens = attention.shape[-1]
        entropies.append(torch.special.entr(attention).sum(-1).mean(-1) / math.log(tokens))
        to_patches = attention[..., seen.prefix :]
        total = to_patches.sum(-1, keepdim=True).clamp(min=1e-12)
        distances.append(((to_patches * apart).sum(-1) / total[..., 0]).mean(-1))
        affinities.append(affinity_lift(to_patches, inside).mean(-1))
    return HeadFacts(
        weight=seen.weights,
        row_weight=seen.row_weights,
        entropy=torch.stack(entropies),
        distance=torch.stack(distances),
        class_row=class_row_lift(seen.rows[:, :, known], inside).mean(-1),
        affinity=torch.stack(affinities),
    )


def _distances(grid: tuple[int, int], device: torch.device) -> Tensor:
    """Between all pairs of patches `[P, P]`, in patches."""
    h, w = grid
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    places = torch.stack([y.flatten(), x.flatten()], dim=1).float().to(device)
    return torch.cdist(places, places)
