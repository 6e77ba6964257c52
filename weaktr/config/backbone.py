"""A backbone, in the sections `cam` and `decoder`."""

from weaktr.config.values import Count, Positive, Section


class BackboneParams(Section):
    """A plain ViT by its timm name. `None` keeps the model's own value; a number overrides it."""

    name: str = "deit_small_patch16_224"
    weights: str = "hub"
    """`hub` (timm's pretrained weights), `none` (random), or a .safetensors/.pth/.bin/.npz file."""
    patch_size: Count | None = None
    embed_dim: Count | None = None
    depth: Count | None = None
    num_heads: Count | None = None
    mlp_ratio: Positive | None = None
