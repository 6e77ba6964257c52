"""How much better than chance an attention head keeps to objects, by a CAM instead of a mask."""

import torch
from torch import Tensor

OBJECT = 0.5
"""An object is where the coarse CAM of its tag is above this share of its range."""


def objects(coarse: Tensor) -> Tensor:
    """Where each tag's object is, by its coarse CAM.

    No head's weight has a part in the coarse CAM, so that a head is not praised for agreeing with
    itself.

    Args:
        coarse: `[K, P]`.

    Returns:
        bool `[K, P]`.
    """
    low, high = coarse.amin(1, keepdim=True), coarse.amax(1, keepdim=True)
    return coarse - low > OBJECT * (high - low)


def class_row_lift(rows: Tensor, inside: Tensor) -> Tensor:
    """What a class token's attention puts on its object beyond the object's share of the patches.

    Args:
        rows: Attention of the tags' class tokens to patches, `[..., K, P]`.
        inside: Objects, bool `[K, P]`.

    Returns:
        `[..., K]`, in (-1, 1); 0 for a head that looks nowhere in particular.
    """
    held = (rows * inside).sum(-1) / rows.sum(-1).clamp(min=1e-12)
    return held - inside.float().mean(dim=1)


def affinity_lift(attention: Tensor, inside: Tensor) -> Tensor:
    """What an object's patches spend on the object beyond what other patches spend on it.

    Args:
        attention: Of patches to patches, `[H, P, P]`.
        inside: Objects, bool `[K, P]`; none is empty or everywhere.

    Returns:
        `[H, K]`, in (-1, 1); 0 for a head that looks nowhere in particular.
    """
    mask = inside.float()
    size = mask.sum(dim=1)
    total = attention.sum(-1, keepdim=True).clamp(min=1e-12)
    onto = (attention @ mask.T) / total  # [H, P, K]
    stays = (onto * mask.T).sum(1) / size
    comes = (onto * (1 - mask.T)).sum(1) / (mask.shape[1] - size)
    return stays - comes


def measurable(inside: Tensor) -> Tensor:
    """Objects that are neither nowhere nor everywhere: bool `[K]`."""
    return inside.any(dim=1) & ~inside.all(dim=1)


def weights_of(lift: Tensor, sharpness: float) -> Tensor:
    """Head weights in (0, 1) from lifts: a head of mean lift weighs a half.

    Args:
        lift: One per head, any shape.
        sharpness: Steepness of the logistic function, per standard deviation over the heads.
    """
    spread = lift.std(correction=0).clamp(min=torch.finfo(lift.dtype).tiny)
    return torch.sigmoid(sharpness * (lift - lift.mean()) / spread)
