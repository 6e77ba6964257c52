"""A plain ViT from timm behind one token interface, for the CAM network and the segmenter alike."""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weaktr.config.backbone import BackboneParams
from weaktr.errors import UserError
from weaktr.models.attention import ATTENTION_TYPES, BLOCK_TYPES, AttentionRecord, run_block
from weaktr.models.pretrained import create_vit, load_local

Positions = Literal["bicubic", "bilinear"]


class Tokens(NamedTuple):
    """What a backbone makes of an image. Register tokens are left out.

    Attributes:
        classes: `[B, C, D]`: the class tokens; C is 0 or 1 in a backbone's native form.
        patches: `[B, P, D]`, row-major.
        grid: `(h, w)` with `h * w == P`.
    """

    classes: Tensor
    patches: Tensor
    grid: tuple[int, int]


class Backbone(nn.Module):
    """The parts of a timm ViT that make tokens, without its classifier; parameter names are timm's.

    The sequence is class tokens, register tokens, patch tokens. Any input goes: position embeddings
    (and rotary ones) follow the grid, and a margin that the patch does not divide is cut off.

    Args:
        vit: A `VisionTransformer` or `Eva` of timm with plain pre-norm blocks. Its modules are
            taken over, not copied.
        positions: How learned positions follow the grid: `bicubic` as the published CAM network
            does, `bilinear` as the published segmenter does (see `position_embedding`).
        num_class_tokens: Replace the class token by so many (the CAM network: one per class);
            None keeps the native one, or none.
        copy_class_token: Start the new class tokens as copies of the native one; else (and where
            there is none) they are drawn from a normal distribution truncated at 2 sd, sd 0.02.
        final_norm: Keep the norm after the last block; the CAM network never applies it.

    Attributes:
        patch_size: Side of a patch in pixels.
        embed_dim: D.
        num_heads: Attention heads of a layer.
        mean, std: Normalisation of the pretraining, RGB in [0, 1].
        num_class_tokens: C.
        num_prefix_tokens: Class and register tokens together.
    """

    patch_embed: PatchEmbed
    cls_token: nn.Parameter | None
    reg_token: nn.Parameter | None
    pos_embed: nn.Parameter | None

    def __init__(
        self,
        vit: Any,
        *,
        positions: Positions,
        num_class_tokens: int | None = None,
        copy_class_token: bool = True,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.positions = positions
        self.embed_dim: int = vit.embed_dim
        self.blocks = nn.ModuleList(vit.blocks)
        self.num_heads: int = vit.blocks[0].attn.num_heads
        cfg = getattr(vit, "pretrained_cfg", None) or {}
        self.mean: tuple[float, ...] = tuple(cfg.get("mean", (0.5, 0.5, 0.5)))
        self.std: tuple[float, ...] = tuple(cfg.get("std", (0.5, 0.5, 0.5)))
        self.gradient_checkpointing = False

        self.patch_embed = vit.patch_embed
        self.position_grid: tuple[int, int] = tuple(vit.patch_embed.grid_size)
        self.cls_token = vit.cls_token
        self.reg_token = vit.reg_token
        self.pos_embed = vit.pos_embed
        self.rope: Any = getattr(vit, "rope", None)
        self.rope_by_layer: bool = getattr(vit, "rope_mixed", False)
        self.norm_pre: nn.Module = vit.norm_pre
        self.norm: nn.Module = nn.Identity()
        if final_norm:  # models that pool first keep their last norm after the pooling
            self.norm = vit.fc_norm if isinstance(vit.norm, nn.Identity) else vit.norm

        if num_class_tokens is not None:
            self._replace_class_token(num_class_tokens, copy_class_token)
        self.num_class_tokens = 0 if self.cls_token is None else self.cls_token.shape[1]
        registers = 0 if self.reg_token is None else self.reg_token.shape[1]
        self.num_prefix_tokens = self.num_class_tokens + registers
        for block in vit.blocks:  # rotary positions begin after the prefix
            block.attn.num_prefix_tokens = self.num_prefix_tokens

    def _replace_class_token(self, count: int, copy: bool) -> None:
        def several(native: Tensor | None) -> Tensor:
            if native is not None and copy:
                return native.detach().repeat(1, count, 1)
            return nn.init.trunc_normal_(torch.empty(1, count, self.embed_dim), std=0.02)

        h, w = self.position_grid
        native = 0 if self.cls_token is None else self.cls_token.shape[1]
        if self.pos_embed is not None and self.pos_embed.shape[1] > h * w:
            others = self.pos_embed.detach()[:, native:]
            classes = several(self.pos_embed[:, :native] if native else None)
            self.pos_embed = nn.Parameter(torch.cat((classes, others), dim=1))
        self.cls_token = nn.Parameter(several(self.cls_token))

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.patch_embed.proj.kernel_size[0]

    def set_position_grid(self, grid: tuple[int, int]) -> None:
        """Resamples learned positions to another native grid, `(h, w)` in patches, for good."""
        if self.pos_embed is not None:
            image = (grid[0] * self.patch_size, grid[1] * self.patch_size)
            positions = self.position_embedding(grid, image)
            assert positions is not None
            self.pos_embed = nn.Parameter(positions.detach().clone())
        self.position_grid = grid

    def set_gradient_checkpointing(self, enable: bool = True) -> None:
        """Recomputes each block in the backward pass instead of keeping its activations."""
        self.gradient_checkpointing = enable

    def position_embedding(self, grid: tuple[int, int], image: tuple[int, int]) -> Tensor | None:
        """Learned positions for a grid.

        `bicubic` resamples by the factors (h + 0.1) / h0 and (w + 0.1) / w0, which also set the
        sampling points, so that resampling to the exact extent would differ by some percent; it
        leaves alone only square images with the native number of patches. `bilinear` resamples to
        the exact extent, and only when the number of patches differs.

        Args:
            grid: `(h, w)` in patches.
            image: `(H, W)` in pixels.

        Returns:
            `[1, n + h * w, D]`, where n is the number of prefix tokens that have positions, or
            None for a backbone without learned positions.
        """
        if self.pos_embed is None:
            return None
        own = self.pos_embed
        h0, w0 = self.position_grid
        h, w = grid
        square = image[0] == image[1]
        if h * w == h0 * w0 and (square or self.positions == "bilinear"):
            return own
        prefix = own.shape[1] - h0 * w0
        native = own[:, prefix:].reshape(1, h0, w0, -1).permute(0, 3, 1, 2)
        if self.positions == "bicubic":
            factors = ((h + 0.1) / h0, (w + 0.1) / w0)
            resampled = F.interpolate(native, scale_factor=factors, mode="bicubic")
        else:
            resampled = F.interpolate(native, size=grid, mode="bilinear")
        return torch.cat((own[:, :prefix], resampled.flatten(2).mT), dim=1)

    def embed(self, x: Tensor) -> tuple[Tensor, list[Tensor | None], tuple[int, int]]:
        """The sequence that enters the first block.

        Args:
            x: `[B, 3, H, W]` normalised image, at least one patch high and wide.

        Returns:
            Tokens `[B, N, D]`; the rotary embedding of every layer (None where there is none);
            the grid `(h, w)`.
        """
        B, _, H, W = x.shape
        if x.is_cuda:  # the convolution then puts out tokens as they lie in the sequence
            x = x.contiguous(memory_format=torch.channels_last)
        patches = self.patch_embed.proj(x)
        h, w = patches.shape[-2:]
        tokens = self.patch_embed.norm(patches.flatten(2).mT)
        prefix = [t.expand(B, -1, -1) for t in (self.cls_token, self.reg_token) if t is not None]
        positions = self.position_embedding((h, w), (H, W))
        if positions is None:
            tokens = torch.cat((*prefix, tokens), dim=1)
        elif positions.shape[1] == h * w:  # prefix tokens without positions
            tokens = torch.cat((*prefix, tokens + positions), dim=1)
        else:
            tokens = torch.cat((*prefix, tokens), dim=1) + positions
        return self.norm_pre(tokens), self._rotary((h, w)), (h, w)

    def _rotary(self, grid: tuple[int, int]) -> list[Tensor | None]:
        if self.rope is None:
            return [None] * len(self.blocks)
        rope = self.rope.get_embed(shape=grid)
        return list(rope) if self.rope_by_layer else [rope] * len(self.blocks)

    def run_layer(
        self, index: int, tokens: Tensor, rope: Tensor | None
    ) -> tuple[Tensor, AttentionRecord]:
        """Runs one block on `[B, N, D]`; returns its tokens and its attention's record."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(run_block, self.blocks[index], tokens, rope, use_reentrant=False)
        return run_block(self.blocks[index], tokens, rope)

    def split(self, tokens: Tensor, grid: tuple[int, int]) -> Tokens:
        """Takes a sequence `[B, N, D]` apart, after the final norm if it is kept."""
        tokens = self.norm(tokens)
        classes = tokens[:, : self.num_class_tokens]
        return Tokens(classes, tokens[:, self.num_prefix_tokens :], grid)

    def forward(self, x: Tensor) -> Tokens:
        """Tokens of `[B, 3, H, W]` normalised images."""
        tokens, ropes, grid = self.embed(x)
        for index, rope in enumerate(ropes):
            tokens, _ = self.run_layer(index, tokens, rope)
        return self.split(tokens, grid)


def build_backbone(
    params: BackboneParams,
    *,
    section: str,
    positions: Positions,
    num_class_tokens: int | None = None,
    final_norm: bool = True,
    layer_norm_eps: float | None = None,
    drop_path: float = 0.0,
    pretrained: bool = True,
) -> Backbone:
    """Builds a backbone from params.

    Args:
        params: Name, weights and sizes.
        section: Params section to name in messages: `cam.backbone` or `decoder.backbone`.
        positions: As for `Backbone`.
        num_class_tokens: As for `Backbone`; the new tokens start as copies when weights are loaded.
        final_norm: As for `Backbone`.
        layer_norm_eps: For every LayerNorm; None keeps the model's own.
        drop_path: Rate of stochastic depth at the last block, growing linearly from zero.
        pretrained: Load `params.weights`; False where other weights follow anyway.

    Raises:
        UserError: If timm has no such plain ViT, or its weights cannot be had or do not fit.
    """
    weights = params.weights if pretrained else "none"
    sizes = params.model_dump(include={"embed_dim", "depth", "num_heads", "mlp_ratio"})
    sizes = {key: value for key, value in sizes.items() if value is not None}
    if weights == "hub" and sizes:
        raise UserError(
            f"{section}.weights: hub weights fit the model's own sizes only; remove "
            f"{', '.join(sizes)} or set weights to none. Got: {sizes}"
        )
    vit = create_vit(
        params.name,
        pretrained=weights == "hub",
        section=section,
        dynamic_img_size=True,  # rotary positions for any grid
        drop_path_rate=drop_path,
        **sizes,
    )
    _check_plain(vit, params.name, section)
    if params.patch_size is not None:  # resamples the kernel, and keeps the grid of positions
        image = tuple(params.patch_size * side for side in vit.patch_embed.grid_size)
        vit.set_input_size(image, (params.patch_size, params.patch_size))
    if weights not in ("hub", "none"):
        load_local(vit, weights, section=section)
    if layer_norm_eps is not None:
        for module in vit.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = layer_norm_eps
    return Backbone(
        vit,
        positions=positions,
        num_class_tokens=num_class_tokens,
        copy_class_token=weights != "none",
        final_norm=final_norm,
    )


def _check_plain(vit: Any, name: str, section: str) -> None:
    """Refuses models whose blocks, attention or patch embedding are not those of a plain ViT."""
    plain = (
        type(vit) in (VisionTransformer, Eva)
        and type(vit.patch_embed) is PatchEmbed
        and all(type(block) in BLOCK_TYPES for block in vit.blocks)
        and all(type(block.attn) in ATTENTION_TYPES for block in vit.blocks)
    )
    if not plain:
        raise UserError(
            f"{section}.name must be a plain ViT (one resolution, self-attention, pre-norm blocks) "
            f"such as deit_small_patch16_224. Got: {name!r}"
        )
