"""Images whose heads are known: each looks at all alike, at itself, or at its own kind."""

from collections.abc import Sequence

import torch
from torch import Tensor

from weaktr.data.manifest import Record
from weaktr.heads.seen import SeenImage
from weaktr.models.attention_fusion import HeadWeights
from weaktr.models.cam_network import CAMLayers

GRID = (4, 6)
UNIFORM, SELF, KIND = "uniform", "self", "kind"
STRENGTH = 1e4


def object_mask(left: int = 1) -> Tensor:
    """An object of 2 x 2 patches `[h, w]`, bool."""
    mask = torch.zeros(GRID, dtype=torch.bool)
    mask[1:3, left : left + 2] = True
    return mask


def planted(heads: Sequence[Sequence[str]], left: int = 1, weights: float = 1.0) -> SeenImage:
    """An image of one class with one class token and no registers.

    Args:
        heads: What each head of each layer does. The class token of a `kind` head looks at the
            object, that of any other one at all alike.
        left: Place of the object.
        weights: Of all heads.
    """
    inside = object_mask(left).flatten()
    P = inside.numel()
    kind = torch.stack([inside, ~inside], dim=1).float()
    tokens = {
        UNIFORM: torch.zeros(P + 1, P),
        SELF: torch.cat([torch.zeros(1, P), torch.eye(P)]),
        KIND: torch.cat([torch.zeros(1, P), torch.cat([kind, torch.zeros(P, P - 2)], dim=1)]),
    }
    queries, keys = [], []
    for layer in heads:
        key = torch.stack([tokens[what] for what in layer])
        query = key * STRENGTH
        for h, what in enumerate(layer):
            if what == KIND:
                query[h, 0] = query[h, 1:][inside][0]
        queries.append(query[None])
        keys.append(key[None])
    coarse = inside.float()[None]
    same = torch.full((1, len(heads), len(heads[0])), weights)
    layers = CAMLayers(
        coarse=coarse.view(1, 1, *GRID),
        head_weights=HeadWeights(same, same),
        queries=queries,
        keys=keys,
        class_logits=torch.zeros(1, 1),
    )
    rows = [
        torch.softmax(q[0, :, :1] @ k[0].mT * P**-0.5, dim=-1)[..., 1:]
        for q, k in zip(queries, keys, strict=True)
    ]
    height, width = (8 * side for side in GRID)
    return SeenImage(
        record=Record("x", "x.png", "train", ("cat",), width, height, ""),
        present=[0],
        grid=GRID,
        weights=same[0],
        row_weights=same[0],
        coarse=coarse,
        rows=torch.stack(rows),
        layers=layers,
        prefix=1,
    )
