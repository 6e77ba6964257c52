"""A backbone, in the sections `cam` and `decoder`."""

from weaktr.config.values import Count, Positive, Section


class BackboneParams(Section):
    """A plain ViT by its timm name. Sizes: null keeps the model's own value."""

    name: str = "deit_small_patch16_224"
    """timm's name of the model, with or without the tag of its weights."""
    weights: str = "hub"
    """`hub` (timm's pretrained weights), `none` (random), or a .safetensors/.pth/.bin/.npz file."""
    patch_size: Count | None = None
    """Side of a patch in pixels; pretrained kernels are resampled to it."""
    embed_dim: Count | None = None
    """Channels of a token."""
    depth: Count | None = None
    """Number of blocks."""
    num_heads: Count | None = None
    """Attention heads of a block."""
    mlp_ratio: Positive | None = None
    """Width of a block's MLP, in channels of a token."""
