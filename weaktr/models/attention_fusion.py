"""One weight for every attention head of every layer, predicted from what the heads put out."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from weaktr.models.attention_lift import weights_of
from weaktr.models.attention_maps import TokenLayout

Pool = Literal["max", "avg"]
SHARPNESS = 2.0
"""How much lift counts in `LiftAttentionFusion`: a head a standard deviation above the mean weighs
0.88, one below it 0.12. (Chosen on the demo with its masks, where 1 and 4 gave 0.2 points less.)"""


class HeadWeights(NamedTuple):
    """One weight per head, for each place that attention maps have in the fine CAM.

    Attributes:
        rows: `[B, L, H]`, of the class rows.
        affinity: `[B, L, H]`; the published fusion has the same ones in both places.
    """

    rows: Tensor
    affinity: Tensor


class AdaptiveAttentionFusion(nn.Module):
    """Predicts head weights in (0, 1) from the attention outputs (paper: section III-B, AAF).

    A layer's attention output is pooled over class and patch tokens and split into H features of
    `d = D / H` channels: feature j takes channels j, j + H, j + 2H, ... The split is the published
    one, which released weights need; the attention's own heads are contiguous. Two linear layers
    (with nothing between them) make one number of each feature, and a squeeze-and-excitation pair
    mixes the numbers of all heads.

    Args:
        layers: L.
        heads: H.
        embed_dim: D.
        reduction: The mixing's hidden width is `int(L * H / reduction)`.
        feat_reduction: The feature reduction's hidden width is `int(d / feat_reduction)`.
        pool: `max` or `avg` over tokens.
    """

    def __init__(
        self,
        *,
        layers: int,
        heads: int,
        embed_dim: int,
        reduction: int = 8,
        feat_reduction: int = 8,
        pool: Pool = "max",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.pool = pool
        channels, features = layers * heads, embed_dim // heads
        hidden, narrow = int(channels / reduction), int(features / feat_reduction)
        self.feature_ffn = nn.Sequential(nn.Linear(features, narrow), nn.Linear(narrow, 1))
        self.head_ffn = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, channels, bias=False),
            nn.Sigmoid(),
        )

    def pool_tokens(self, output: Tensor, layout: TokenLayout) -> Tensor:
        """Pools an attention output `[B, N, D]` over class and patch tokens: `[B, D]`."""
        if layout.classes != layout.prefix:  # registers hold no place in the image
            output = torch.cat((output[:, : layout.classes], output[:, layout.prefix :]), dim=1)
        return output.amax(dim=1) if self.pool == "max" else output.mean(dim=1)

    def forward(self, pooled: Sequence[Tensor]) -> Tensor:
        """Weights `[B, H * L]` (index: head * L + layer) from L pooled outputs `[B, D]`."""
        features = torch.stack([self.split_heads(x) for x in pooled], dim=2)
        return self.head_ffn(self.feature_ffn(features).flatten(1))

    def split_heads(self, x: Tensor) -> Tensor:
        """`[B, ..., D]` -> `[B, H, ..., d]`, where head j takes channels j, j + H, ..."""
        return x.unflatten(-1, (-1, self.heads)).movedim(-1, 1)


class MeanAttentionFusion(nn.Module):
    """The ablation of adaptive fusion: every head weighs 1, the fused map is the plain mean.

    It has no parameters, so that the fine-CAM loss trains nothing.
    """

    def __init__(self, *, layers: int, heads: int) -> None:
        super().__init__()
        self.channels = layers * heads

    def pool_tokens(self, output: Tensor, layout: TokenLayout) -> Tensor:
        """The batch is all that the weights depend on: `[B, 0]`."""
        return output[:, 0, :0]

    def forward(self, pooled: Sequence[Tensor]) -> Tensor:
        """Ones `[B, H * L]`."""
        return pooled[0].new_ones(pooled[0].shape[0], self.channels)


class LiftAttentionFusion(MeanAttentionFusion):
    """Heads weigh by their lift: how much better than chance each keeps to objects. Not published.

    Nothing is learned by gradients. While the rest is trained it is a plain mean; then lifts are
    measured on the training images, by tags and coarse CAMs (`weaktr.training.lift`). A head that
    is good in class rows is often bad in the affinity, so that each has weights of its own.

    Attributes:
        rows: Weights in the class rows `[L, H]`.
        affinity: Weights in the affinity `[L, H]`.
    """

    rows: Tensor
    affinity: Tensor

    def __init__(self, *, layers: int, heads: int) -> None:
        super().__init__(layers=layers, heads=heads)
        self.register_buffer("rows", torch.ones(layers, heads))
        self.register_buffer("affinity", torch.ones(layers, heads))

    def set_lift(self, rows: Tensor, affinity: Tensor) -> None:
        """Weighs the heads by lifts `[L, H]`, one for class rows and one for the affinity."""
        self.rows.copy_(weights_of(rows, SHARPNESS))
        self.affinity.copy_(weights_of(affinity, SHARPNESS))

    def forward(self, pooled: Sequence[Tensor]) -> Tensor:
        """The affinity's weights, `[B, H * L]`."""
        return self.affinity.mT.flatten().expand(pooled[0].shape[0], -1)
