"""The CAM network: class activation maps from image-level tags (WeakTr, section III-B)."""

from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from weaktr.config.cam import CamParams
from weaktr.errors import UserError
from weaktr.models.attention_fusion import (
    AdaptiveAttentionFusion,
    HeadWeights,
    LiftAttentionFusion,
    MeanAttentionFusion,
)
from weaktr.models.attention_maps import FusedAttention, TokenLayout, attention_marginals
from weaktr.models.backbone import Backbone, Tokens, build_backbone
from weaktr.models.network import Network


class CAMLogits(NamedTuple):
    """Class logits `[B, C]` of the three multi-label losses.

    Attributes:
        class_token: Mean over the embedding of each class token. Trains everything but the fusion.
        coarse: Mean over patches of the coarse CAM, before ReLU. Trains everything but the fusion.
        fine: Mean over patches of the fine CAM. Trains the fusion only: attention maps, attention
            outputs and coarse CAM enter it detached.
    """

    class_token: Tensor
    coarse: Tensor
    fine: Tensor


class Affinity(Protocol):
    """Patch-to-patch attention, such as `FusedAttention`, which never makes its map to apply it."""

    def affinity(self) -> Tensor:
        """The map itself, `[B, P, P]`."""

    def propagate(self, cam: Tensor, /) -> Tensor:
        """The map times CAMs: `[B, K, P]` to `[B, K, P]`."""


class CAMMaps(NamedTuple):
    """Maps of a batch, at patch resolution.

    Attributes:
        coarse: `[B, C, h, w]`: the conv head's maps after ReLU.
        cross: `[B, C, h, w]`: the fused class-to-patch attention.
        attention: The fused patch-to-patch attention.
        head_weights: Of the affinity, `[B, H * L]`, index head * L + layer.
        class_logits: `[B, C]`: the logits of the class tokens.
    """

    coarse: Tensor
    cross: Tensor
    attention: Affinity
    head_weights: Tensor
    class_logits: Tensor

    @property
    def affinity(self) -> Tensor:
        """The fused patch-to-patch attention `[B, P, P]`, row-major patches, made when asked for:
        for people to look at, as memory grows with the square of P."""
        return self.attention.affinity()

    @property
    def fused(self) -> Tensor:
        """Coarse CAM times class-to-patch attention, `[B, C, h, w]`."""
        return self.cross * self.coarse

    @property
    def fine(self) -> Tensor:
        """`affinity @ fused`, `[B, C, h, w]`."""
        return self.propagate(self.fused)

    def propagate(self, cam: Tensor) -> Tensor:
        """`affinity @ cam`, `[B, C, h, w]`: patches get the scores of those they attend to."""
        return self.attention.propagate(cam.flatten(2)).view_as(cam)

    def of_classes(self, classes: Tensor) -> "CAMMaps":
        """The maps of some classes only.

        Args:
            classes: Indices `[K]`.
        """
        return self._replace(
            coarse=self.coarse[:, classes],
            cross=self.cross[:, classes],
            class_logits=self.class_logits[:, classes],
        )


class CAMLayers(NamedTuple):
    """Every layer's heads of a batch, for those who look at single ones.

    Attributes:
        coarse: `[B, C, h, w]`: the conv head's maps after ReLU.
        head_weights: Of the class rows and of the affinity, each `[B, L, H]`.
        queries: L tensors `[B, H, N, d]`, detached.
        keys: L tensors `[B, H, N, d]`, detached.
        class_logits: `[B, C]`: the logits of the class tokens.
    """

    coarse: Tensor
    head_weights: HeadWeights
    queries: list[Tensor]
    keys: list[Tensor]
    class_logits: Tensor


class CAMNetwork(Network):
    """A plain ViT with one class token per class, a conv head, and fused attention maps.

    Args:
        backbone: With `num_class_tokens` class tokens and without a final norm.
        fusion: Weighs the attention heads.
        params: What the two were built from; saved beside the weights.

    Attributes:
        num_classes: C, without background.
        patch_size: Side of a patch in pixels.
        mean, std: Normalisation of the input, RGB in [0, 1].
    """

    kind = "cam"
    params_class = CamParams
    params: CamParams

    def __init__(
        self,
        backbone: Backbone,
        fusion: AdaptiveAttentionFusion | MeanAttentionFusion,
        params: CamParams,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.fusion = fusion
        self.num_classes: int = backbone.num_class_tokens - params.spare_classes
        self.head = nn.Conv2d(backbone.embed_dim, self.num_classes, kernel_size=3, padding=1)
        self.patch_size = backbone.patch_size
        self.mean, self.std = backbone.mean, backbone.std
        self.params = params

    @classmethod
    def from_params(cls, params: CamParams, num_classes: int, *, pretrained: bool = True) -> Self:
        """Builds the network.

        As in the published code, learned positions are resampled to the training input's grid once,
        and trained there.

        Args:
            params: The `cam` section.
            num_classes: C, without background.
            pretrained: Load `params.backbone.weights`; False where other weights follow anyway.

        Raises:
            UserError: If the backbone cannot be had, is too small for the fusion's reductions, or
                its patch is larger than the input.
        """
        backbone = build_backbone(
            params.backbone,
            section="cam.backbone",
            positions="bicubic",
            num_class_tokens=num_classes + params.spare_classes,
            final_norm=False,
            drop_path=params.drop_path,
            pretrained=pretrained,
        )
        side = params.input_size // backbone.patch_size
        if not side:
            raise UserError(
                f"cam.input_size must be at least a patch, {backbone.patch_size} pixels. "
                f"Got: {params.input_size}"
            )
        backbone.set_position_grid((side, side))
        layers, heads = len(backbone.blocks), backbone.num_heads
        fusion: AdaptiveAttentionFusion | MeanAttentionFusion
        if params.fusion == "mean":
            fusion = MeanAttentionFusion(layers=layers, heads=heads)
        elif params.fusion == "lift":
            fusion = LiftAttentionFusion(layers=layers, heads=heads)
        else:
            limits = {
                "reduction": layers * heads,
                "feat_reduction": backbone.embed_dim // heads,
            }
            for key, limit in limits.items():
                value = getattr(params, key)
                if value > limit:
                    raise UserError(
                        f"cam.{key} must be at most {limit} for this backbone ({layers} layers of "
                        f"{heads} heads, {backbone.embed_dim // heads} channels each). Got: {value}"
                    )
            fusion = AdaptiveAttentionFusion(
                layers=layers,
                heads=heads,
                embed_dim=backbone.embed_dim,
                reduction=params.reduction,
                feat_reduction=params.feat_reduction,
                pool=params.pool,
            )
        return cls(backbone, fusion, params)

    @property
    def layout(self) -> TokenLayout:
        """Where the backbone's tokens lie."""
        return TokenLayout(self.backbone.num_class_tokens, self.backbone.num_prefix_tokens)

    def set_gradient_checkpointing(self, enable: bool = True) -> None:
        """Recomputes blocks in the backward pass instead of keeping their activations."""
        self.backbone.set_gradient_checkpointing(enable)

    def forward(self, x: Tensor) -> CAMLogits:
        """Logits for training.

        Args:
            x: `[B, 3, H, W]` normalised images.
        """
        tokens, ropes, grid = self.backbone.embed(x)
        pooled, marginals = [], []
        for index, rope in enumerate(ropes):
            tokens, record = self.backbone.run_layer(index, tokens, rope)
            pooled.append(self.fusion.pool_tokens(record.output.detach(), self.layout))
            query, key = record.query.detach(), record.key.detach()
            marginals.append(attention_marginals(query, key, self.layout))
        split = self.backbone.split(tokens, grid)
        coarse = self._coarse(split)
        with torch.autocast(x.device.type, enabled=False):
            weights = self._head_weights(pooled)
            rows = torch.stack(marginals, dim=1)  # [B, L, H, C + 1, P]
            cross, received = _fuse(weights, rows, self.num_classes)
            cam = cross * coarse.detach().relu().flatten(2)
            # The mean over rows of affinity @ cam: only the affinity's column sums matter.
            fine = (received * cam).sum(dim=2) / cam.shape[2]
        return CAMLogits(self._class_logits(split), coarse.mean(dim=(2, 3)), fine)

    def maps(self, x: Tensor) -> CAMMaps:
        """All maps of a batch; differentiable by the fusion's parameters.

        Args:
            x: `[B, 3, H, W]` normalised images.
        """
        seen = self.layers(x)
        weights = seen.head_weights
        attention = FusedAttention(weights.affinity, seen.queries, seen.keys, self.layout)
        with torch.autocast(x.device.type, enabled=False):
            cross = attention._replace(weights=weights.rows).class_rows()
        return CAMMaps(
            coarse=seen.coarse,
            cross=cross[:, : self.num_classes].unflatten(2, seen.coarse.shape[2:]),
            attention=attention,
            head_weights=weights.affinity.mT.flatten(1),
            class_logits=seen.class_logits,
        )

    def layers(self, x: Tensor) -> CAMLayers:
        """What `maps` is made of, before the heads are fused.

        Args:
            x: `[B, 3, H, W]` normalised images.
        """
        tokens, ropes, grid = self.backbone.embed(x)
        pooled, queries, keys = [], [], []
        for index, rope in enumerate(ropes):
            tokens, record = self.backbone.run_layer(index, tokens, rope)
            pooled.append(self.fusion.pool_tokens(record.output.detach(), self.layout))
            queries.append(record.query.detach())
            keys.append(record.key.detach())
        split = self.backbone.split(tokens, grid)
        coarse = self._coarse(split).detach().relu()
        with torch.autocast(x.device.type, enabled=False):
            weights = self._head_weights(pooled)
        return CAMLayers(coarse, weights, queries, keys, self._class_logits(split))

    def _class_logits(self, tokens: Tokens) -> Tensor:
        return tokens.classes[:, : self.num_classes].mean(dim=-1)

    def _coarse(self, tokens: Tokens) -> Tensor:
        return self.head(tokens.patches.mT.unflatten(2, tokens.grid))

    def _head_weights(self, pooled: list[Tensor]) -> HeadWeights:
        """Head weights from L pooled attention outputs."""
        weights = self.fusion([x.float() for x in pooled]).unflatten(1, (-1, len(pooled))).mT
        if isinstance(self.fusion, LiftAttentionFusion):
            return HeadWeights(self.fusion.rows.expand_as(weights), weights)
        return HeadWeights(weights, weights)


def _fuse(weights: HeadWeights, rows: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weighted means of what `attention_marginals` gives.

    Args:
        weights: Of the heads.
        rows: `[B, L, H, C + 1, P]`.
        classes: How many of the class rows to take.

    Returns:
        Class rows `[B, classes, P]` and the affinity's column sums `[B, 1, P]`.
    """
    heads = weights.rows[0].numel()
    fused = torch.einsum("blh,blhcp->bcp", weights.rows, rows) / heads
    if weights.affinity is weights.rows:
        return fused[:, :classes], fused[:, -1:]
    received = torch.einsum("blh,blhcp->bcp", weights.affinity, rows[:, :, :, -1:]) / heads
    return fused[:, :classes], received
