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
    auto_augment: str | None = "rand-m9-mstd0.5-inc1"
    erase_probability: Fraction = 0.25


class CamParams(Section):
    """The CAM network and its training (paper: section III-B)."""

    backbone: BackboneParams = BackboneParams()
    input_size: Annotated[int, Field(ge=16, strict=True)] = 224
    spare_classes: CountOrZero = 0
    """Class tokens beyond the data set's classes, as in the released COCO weights: they take part
    in attention and predict nothing."""
    fusion: Literal["adaptive", "mean"] = "adaptive"
    reduction: Count = 8
    feat_reduction: Count = 8
    pool: Literal["max", "avg"] = "max"
    drop_path: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    augment: CamAugmentParams = CamAugmentParams()
    epochs: Count = 60
    batch_size: Count = 64
    accumulate: Count = 1
    """Batches whose mean gradient makes one optimiser step."""
    lr: Positive = 6e-4
    """For 512 images per step; scaled by (batch_size * accumulate) / 512."""
    backbone_lr_scale: Annotated[Real, Field(gt=0, le=1)] = 1.0
    """Rate of the backbone's blocks and patch embedding, as a share of `lr` (published: 1)."""
    weight_decay: NonNegative = 0.03
    warmup_epochs: CountOrZero = 5
    warmup_lr: NonNegative = 1e-6
    min_lr: NonNegative = 1e-5
    cooldown_epochs: CountOrZero = 0
    """Epochs at `min_lr` after `epochs`. (The published code sets 10 and never reaches them.)"""
    schedule: Literal["cosine", "cosine_published"] = "cosine"
    """`cosine_published`: one rate per epoch, one epoch late, as the published code steps it."""
    precision: Precision = "float32"
    compile: Flag = False
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
