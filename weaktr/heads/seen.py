"""One image as the attention heads of a CAM network see it, single and fused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weaktr.data.images import read_image
from weaktr.data.manifest import Record
from weaktr.models.cam_network import CAMLayers, CAMNetwork
from weaktr.pseudo_labels.multi_scale_cam import scaled_input

MOST_PATCHES = 32
"""Patches along the long side: larger images are shrunk, as memory grows with the fourth power."""


@dataclass(frozen=True)
class SeenImage:
    """One image through the network, with its queries and keys; attention maps are made on demand.

    Attributes:
        record: The image.
        present: Its K tags, 0-based.
        grid: `(h, w)` in patches, P together.
        weights: The fusion's weights in the affinity `[L, H]`.
        row_weights: Its weights in the class rows `[L, H]`.
        coarse: Coarse CAMs of the tags `[K, P]`.
        rows: Attention of the tags' class tokens to patches, head by head `[L, H, K, P]`.
        layers: The rest.
        prefix: Class and register tokens together.
    """

    record: Record
    present: Sequence[int]
    grid: tuple[int, int]
    weights: Tensor
    row_weights: Tensor
    coarse: Tensor
    rows: Tensor
    layers: CAMLayers
    prefix: int

    @property
    def fused(self) -> Tensor:
        """Coarse CAM times the fused class-to-patch attention `[K, P]`."""
        cross = torch.einsum("lh,lhkp->kp", self.row_weights, self.rows)
        cross = cross / self.row_weights.numel()
        return cross * self.coarse

    def patch_attention(self) -> Iterator[Tensor]:
        """Each layer's attention of patches to all tokens `[H, P, N]`: one layer at a time."""
        for query, key in zip(self.layers.queries, self.layers.keys, strict=True):
            yield _softmax(query[0, :, self.prefix :], key[0])

    def affinities(self) -> Iterator[Tensor]:
        """Each layer's attention of patches to patches `[H, P, P]`; rows sum to less than 1."""
        return (attention[..., self.prefix :] for attention in self.patch_attention())


@torch.inference_mode()
def see(model: CAMNetwork, record: Record, classes: Sequence[str]) -> SeenImage:
    """Runs the network once on an image that has tags.

    Args:
        model: In evaluation mode.
        record: The image; larger ones than `MOST_PATCHES` patches are shrunk.
        classes: All class names.
    """
    image = np.array(read_image(record.image))
    factor = min(1.0, MOST_PATCHES * model.patch_size / max(image.shape[:2]))
    device = next(model.parameters()).device
    layers = model.layers(scaled_input(model, image, factor)[None].to(device))
    present = [index for index, name in enumerate(classes) if name in record.tags]
    prefix = model.layout.prefix
    rows = [
        _softmax(query[0][:, present], key[0])[..., prefix:]
        for query, key in zip(layers.queries, layers.keys, strict=True)
    ]
    h, w = layers.coarse.shape[2:]
    return SeenImage(
        record=record,
        present=present,
        grid=(h, w),
        weights=layers.head_weights.affinity[0].float(),
        row_weights=layers.head_weights.rows[0].float(),
        coarse=layers.coarse[0, present].flatten(1).float(),
        rows=torch.stack(rows),
        layers=layers,
        prefix=prefix,
    )


def _softmax(query: Tensor, key: Tensor) -> Tensor:
    """Attention of some tokens `[H, n, d]` to all `[H, N, d]`, float32 `[H, n, N]`."""
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    return torch.softmax(scores, dim=-1, dtype=torch.float32)
