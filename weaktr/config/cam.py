"""`cam`: the CAM network and its training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weaktr.config.backbone import BackboneParams
from weaktr.config.values import (
    Count,
    CountOrZero,
    Flag,
    Fraction,
    NonNegative,
    Positive,
    Precision,
    Real,
    Section,
)


class CamAugmentParams(Section):
    """timm's training transform."""

    scale_min: Annotated[Real, Field(gt=0, le=1)] = 0.08
    """Smallest area of a random resized crop."""
    color_jitter: NonNegative = 0.4
    """Strength of random brightness, contrast and saturation; timm leaves it out beside
    `auto_augment`."""
    auto_augment: str | None = "rand-m9-mstd0.5-inc1"
    """A policy in timm's notation, or null."""
    erase_probability: Fraction = 0.25
    """Share of images with a random rectangle erased."""


class CamParams(Section):
    """The CAM network and its training (paper: section III-B)."""

    backbone: BackboneParams = BackboneParams()
    input_size: Annotated[int, Field(ge=16, strict=True)] = 224
    """Side of the square training images, in pixels."""
    spare_classes: CountOrZero = 0
    """Class tokens beyond the data set's classes, as in the released COCO weights: they take part
    in attention and predict nothing."""
    fusion: Literal["adaptive", "mean", "lift"] = "adaptive"
    """`adaptive`: each image has its own head weights, by a learned fusion (the method). `mean`:
    all heads weigh the same. `lift`: heads weigh by how well they keep to the objects of the
    coarse CAM, measured on the training images when training is done (until then, and to `select`,
    all weigh the same); not published, see docs/evidence.md."""
    reduction: Count = 8
    """Fusion: hidden width that mixes layers and heads, as a divisor of their number."""
    feat_reduction: Count = 8
    """Fusion: hidden width that reduces a head's feature, as a divisor of its length."""
    pool: Literal["max", "avg"] = "max"
    """How the fusion pools a layer's tokens."""
    drop_path: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    """Largest rate of stochastic depth, reached in the last block."""
    augment: CamAugmentParams = CamAugmentParams()
    epochs: Count = 60
    """Passes over the training images."""
    batch_size: Count = 64
    """Images of a batch."""
    accumulate: Count = 1
    """Batches whose mean gradient makes one optimiser step."""
    lr: Positive = 6e-4
    """For 512 images per step; scaled by (batch_size * accumulate) / 512."""
    backbone_lr_scale: Annotated[Real, Field(gt=0, le=1)] = 1.0
    """Rate of the backbone's blocks and patch embedding, as a share of `lr` (published: 1)."""
    fusion_lr_scale: Positive = 1.0
    """Rate of the attention fusion, as a share of `lr` (published: 1)."""
    weight_decay: NonNegative = 0.03
    """AdamW's; all parameters decay, as in the published code."""
    fusion_weight_decay: NonNegative | None = None
    """The attention fusion's; null: `weight_decay`, as published."""
    fusion_eps: Positive = 1e-8
    """AdamW's epsilon for the attention fusion (published: 1e-8); gradients of its size or smaller
    hardly move it. `fusion_gradient` in the curves says how large they are."""
    warmup_epochs: CountOrZero = 5
    """Epochs of linear warm-up from `warmup_lr`; fewer than `epochs`."""
    warmup_lr: NonNegative = 1e-6
    """Rate at the first step of the warm-up."""
    min_lr: NonNegative = 1e-5
    """Rate at the end."""
    cooldown_epochs: CountOrZero = 0
    """Epochs at `min_lr` after `epochs`. (The published code sets 10 and never reaches them.)"""
    schedule: Literal["cosine", "cosine_published"] = "cosine"
    """`cosine_published`: one rate per epoch, one epoch late, as the published code steps it."""
    precision: Precision = "float32"
    """Of forward and backward pass. `bfloat16`, `float16`: autocast, float16 with loss scaling.
    `tf32`: float32 whose products a GPU rounds, where it can. `auto`: bfloat16 on a GPU that has
    it, else float32. On a CPU, `tf32` and `float16` are float32."""
    compile: Flag = False
    """Run the network through torch.compile: slow to start, faster afterwards on a GPU."""
    select: Literal["last", "map", "seed_miou"] = "last"
    """Which epoch's weights are kept. `map`: best tag mAP on the validation split (tags only).
    `seed_miou`: best mIoU of the CAMs against the *training masks*, as the published code does."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> "CamParams":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs}) must be less than epochs ({self.epochs})"
            )
        return self
