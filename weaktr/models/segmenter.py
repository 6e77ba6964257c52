"""The segmentation network: a plain ViT and a mask transformer (WeakTr, section III-C)."""

from typing import Self

import torch.nn.functional as F
from torch import Tensor

from weaktr.config.decoder import DecoderParams
from weaktr.errors import UserError
from weaktr.models.backbone import Backbone, build_backbone
from weaktr.models.mask_transformer import MaskTransformer, decoder_heads
from weaktr.models.network import Network


class Segmenter(Network):
    """One logit map per label from normalised images of any size.

    The image is padded with zeros, right and below, to whole patches; the padding takes part in
    attention, as in the published code, and is cut off the result.

    Args:
        encoder: Backbone with its final norm.
        decoder: From patch tokens to masks at patch resolution.
        params: What the two were built from; saved beside the weights.

    Attributes:
        mean, std: Normalisation of the input, RGB in [0, 1].
        patch_size: Side of a patch in pixels.
        num_labels: Classes and background.
    """

    kind = "segmenter"
    params_class = DecoderParams
    params: DecoderParams

    def __init__(self, encoder: Backbone, decoder: MaskTransformer, params: DecoderParams) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.params = params
        self.mean, self.std = encoder.mean, encoder.std
        self.patch_size = encoder.patch_size
        self.num_labels = decoder.num_labels

    @classmethod
    def from_params(
        cls, params: DecoderParams, num_classes: int, *, pretrained: bool = True
    ) -> Self:
        """Builds the network.

        As in the published code, learned positions are resampled to the training crop's grid once,
        and trained there; every LayerNorm has an eps of 1e-5.

        Args:
            params: The `decoder` section.
            num_classes: Without background.
            pretrained: Load the encoder's weights; False where other weights follow anyway.

        Raises:
            UserError: If timm has no such plain ViT, or its weights cannot be had or do not fit.
        """
        encoder = build_backbone(
            params.backbone,
            section="decoder.backbone",
            positions="bilinear",
            layer_norm_eps=1e-5,
            drop_path=params.drop_path,
            pretrained=pretrained,
        )
        side = -(-params.crop_size // encoder.patch_size)
        encoder.set_position_grid((side, side))
        if params.heads is not None and encoder.embed_dim % params.heads:
            raise UserError(
                f"decoder.heads must divide the encoder's width {encoder.embed_dim}. "
                f"Got: {params.heads}"
            )
        decoder = MaskTransformer(
            num_labels=num_classes + 1,
            width=encoder.embed_dim,
            layers=params.layers,
            heads=params.heads or decoder_heads(encoder.embed_dim),
            mlp_ratio=params.mlp_ratio,
            spare=params.spare_classes,
            dropout=params.dropout,
        )
        return cls(encoder, decoder, params)

    def forward(self, x: Tensor, *, with_early: bool = False) -> Tensor:
        """Logits of every pixel.

        Args:
            x: Normalised images `[B, 3, H, W]`.
            with_early: Also read the masks before the mask transformer's last block.

        Returns:
            Float32 `[B, K, H, W]`; with the early logits before the final ones, `[B, 2 * K, H, W]`.
        """
        H, W = x.shape[-2:]
        masks = self.masks(x, with_early=with_early)
        size = (masks.shape[-2] * self.patch_size, masks.shape[-1] * self.patch_size)
        return F.interpolate(masks.float(), size, mode="bilinear")[..., :H, :W]

    def masks(self, x: Tensor, *, with_early: bool = False) -> Tensor:
        """Logits of every patch: what `forward` enlarges.

        Args:
            x: Normalised images `[B, 3, H, W]`.
            with_early: As for `forward`.

        Returns:
            `[B, K, h, w]` or `[B, 2 * K, h, w]`, where the last patches may reach beyond the image.
        """
        x = F.pad(x, (0, -x.shape[-1] % self.patch_size, 0, -x.shape[-2] % self.patch_size))
        tokens = self.encoder(x)
        return self.decoder(tokens.patches, tokens.grid, with_early=with_early)

    def set_gradient_checkpointing(self, enable: bool = True) -> None:
        """Recomputes encoder blocks in the backward pass instead of keeping their activations."""
        self.encoder.set_gradient_checkpointing(enable)
