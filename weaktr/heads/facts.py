"""What can be said of every head of an image without a mask."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from weaktr.heads.seen import SeenImage

OBJECT = 0.5
"""An object is where the coarse CAM of its tag is above this share of its range."""


class HeadFacts(NamedTuple):
    """Of one image, each `[L, H]`; what no object allows to measure is NaN.

    Attributes:
        weight: The fusion's weight.
        entropy: Of the patches' attention to all tokens, as a share of the largest possible: 0
            where each patch looks at one token, 1 where it looks at all alike.
        distance: Between a patch and those that it attends to, mean in patches.
        class_row: Share of the class tokens' attention to patches that lies on the object, less the
            share of patches that the object has: 0 for a head that looks nowhere in particular.
        affinity: Share of the attention of the object's patches that stays on the object, less the
            share that the other patches spend on it: 0 likewise.
    """

    weight: Tensor
    entropy: Tensor
    distance: Tensor
    class_row: Tensor
    affinity: Tensor


@torch.inference_mode()
def head_facts(seen: SeenImage) -> HeadFacts:
    """Measures all heads on one image.

    The object is taken from the coarse CAM, in which no head's weight has a part, so that a head is
    not praised for agreeing with itself.
    """
    inside = _objects(seen.coarse)
    known = inside.any(dim=1) & ~inside.all(dim=1)
    mask = inside[known].float()  # [K', P]
    size = mask.sum(dim=1)
    apart = _distances(seen.grid, seen.coarse.device)
    entropies, distances, affinities = [], [], []
    for attention in seen.patch_attention():
        tokens = attention.shape[-1]
        entropies.append(torch.special.entr(attention).sum(-1).mean(-1) / math.log(tokens))
        to_patches = attention[..., seen.prefix :]
        total = to_patches.sum(-1, keepdim=True).clamp(min=1e-12)
        distances.append(((to_patches * apart).sum(-1) / total[..., 0]).mean(-1))
        onto = (to_patches @ mask.T) / total  # [H, P, K']
        stays = (onto * mask.T).sum(1) / size
        comes = (onto * (1 - mask.T)).sum(1) / (mask.shape[1] - size)
        affinities.append((stays - comes).mean(-1))
    rows = seen.rows[:, :, known]
    held = (rows * mask).sum(-1) / rows.sum(-1).clamp(min=1e-12)
    return HeadFacts(
        weight=seen.weights,
        entropy=torch.stack(entropies),
        distance=torch.stack(distances),
        class_row=(held - size / mask.shape[1]).mean(-1),
        affinity=torch.stack(affinities),
    )


def _objects(coarse: Tensor) -> Tensor:
    """Where each tag's object is, bool `[K, P]`, by its coarse CAM."""
    low, high = coarse.amin(1, keepdim=True), coarse.amax(1, keepdim=True)
    return coarse - low > OBJECT * (high - low)


def _distances(grid: tuple[int, int], device: torch.device) -> Tensor:
    """Between all pairs of patches `[P, P]`, in patches."""
    h, w = grid
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    places = torch.stack([y.flatten(), x.flatten()], dim=1).float().to(device)
    return torch.cdist(places, places)
