"""`decoder`: the segmenter and its training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weaktr.config.backbone import BackboneParams
from weaktr.config.values import (
    Count,
    CountOrZero,
    Flag,
    NonNegative,
    Positive,
    Precision,
    Real,
    Scales,
    Section,
)


class DecoderAugmentParams(Section):
    """Augmentation of image and label together."""

    short_side: Count = 520
    ratio_min: Positive = 0.5
    ratio_max: Positive = 2.0
    max_class_share: Annotated[Real, Field(gt=0, le=1)] = 0.75
    """A crop is redrawn (at most ten times) while one class covers more than this share of it."""
    flip: Flag = True
    photometric: Flag = True

    @model_validator(mode="after")
    def _ratios_ordered(self) -> "DecoderAugmentParams":
        if self.ratio_min > self.ratio_max:
            raise ValueError(
                f"ratio_min ({self.ratio_min}) must not exceed ratio_max ({self.ratio_max})"
            )
        return self


class DecoderParams(Section):
    """The segmenter and its training on pseudo-labels (paper: section III-C)."""

    labels_from: str = "data/pseudo-labels"
    """What to learn from: a folder of label maps `<image id>.png`, or a list of masks with the
    columns id, mask and digest. `data/prepared/masks.csv` is the list of true masks; with it, the
    result is the supervised reference."""
    backbone: BackboneParams = BackboneParams()
    crop_size: Annotated[int, Field(ge=16, strict=True)] = 480
    layers: Count = 2
    heads: Count | None = None
    """Attention heads of the mask transformer; null: one per 64 channels, at least one."""
    mlp_ratio: Positive = 4.0
    spare_classes: CountOrZero = 0
    """Class embeddings beyond the data set's labels, as in the released COCO weights: they take
    part in attention and in the norm over classes, and predict nothing."""
    dropout: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    drop_path: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    start_value: Positive | None = 1.2
    """Clipping begins when the batch's mean loss is under this; null: plain cross-entropy."""
    region: Count = 120
    """Side of the regions whose mean loss is the clipping threshold, in pixels."""
    void_in_mean: Literal["zero", "ignore"] = "ignore"
    """`zero`: void pixels enter every mean as zeros (published). `ignore`: they are left out."""
    region_means: Literal["batch", "image"] = "batch"
    """`batch`: a region's mean is over the batch and shared by it (published). `image`: its own."""
    augment: DecoderAugmentParams = DecoderAugmentParams()
    epochs: Count = 100
    batch_size: Count = 4
    accumulate: Count = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Positive = 1e-4
    encoder_lr_scale: Annotated[Real, Field(gt=0, le=1)] = 0.1
    momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 0.0
    power: Positive = 0.9
    min_lr: NonNegative = 1e-5
    warmup_iterations: CountOrZero = 0
    """Linear warm-up; half of all steps at most, where the data set is small."""
    schedule: Literal["poly", "poly_published"] = "poly"
    """`poly_published`: step 0 ignores the warm-up, as in the published code."""
    precision: Precision = "float32"
    compile: Flag = False
    rounds: Annotated[int, Field(ge=1, le=5, strict=True)] = 1
    """Beyond the paper: after each round but the last, the segmenter's predictions on the training
    images, cut to their tags, replace the pseudo-labels, and a new segmenter starts from these."""
    relabel_scales: Scales = (1.0,)
    """Scales, each with its flip, of the predictions between rounds."""

    @model_validator(mode="after")
    def _region_fits(self) -> "DecoderParams":
        if self.start_value is not None and self.region > self.crop_size:
            raise ValueError(f"region ({self.region}) must not exceed crop_size ({self.crop_size})")
        return self
