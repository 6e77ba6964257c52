"""`decoder`: the segmenter and its training."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

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
    """Images are resized to this short side, times a random ratio."""
    ratio_min: Positive = 0.5
    """Smallest of these ratios."""
    ratio_max: Positive = 2.0
    """Largest of these ratios."""
    max_class_share: Annotated[Real, Field(gt=0, le=1)] = 0.75
    """A crop is redrawn (at most ten times) while one class covers more than this share of it."""
    flip: Flag = True
    """Mirror half of the images."""
    photometric: Flag = True
    """Random brightness, contrast, saturation and hue."""

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
    corrected: str = "none"
    """Masks to learn from in place of `labels_from`, for the training images that have one: the
    name of a folder in `data/corrected/`. `none`: no mask is corrected."""
    backbone: BackboneParams = BackboneParams()
    crop_size: Annotated[int, Field(ge=16, strict=True)] = 480
    """Side of the square training crops, in pixels."""
    layers: Count = 2
    """Blocks of the mask transformer."""
    heads: Count | None = None
    """Attention heads of the mask transformer; null: one per 64 channels, at least one."""
    mlp_ratio: Positive = 4.0
    """Width of the mask transformer's MLPs, in channels of a token."""
    spare_classes: CountOrZero = 0
    """Class embeddings beyond the data set's labels, as in the released COCO weights: they take
    part in attention and in the norm over classes, and predict nothing."""
    dropout: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    """In the mask transformer."""
    drop_path: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    """Largest rate of stochastic depth, in backbone and mask transformer each."""
    start_value: Positive | None = 1.2
    """Batches whose mean loss is at most this are clipped; null: none, plain cross-entropy. From
    0.85 of the loss that cross-entropy ends with on, it cost mIoU (docs/evidence.md)."""
    region: Count = 120
    """Side of the regions whose mean loss is the clipping threshold, in pixels."""
    void_in_mean: Literal["zero", "ignore"] = "ignore"
    """`zero`: void pixels enter every mean as zeros (published). `ignore`: they are left out."""
    region_means: Literal["batch", "image"] = "batch"
    """`batch`: a region's mean is over the batch and shared by it (published). `image`: its own."""
    augment: DecoderAugmentParams = DecoderAugmentParams()
    epochs: Count = 100
    """Passes over the training images, in each round."""
    batch_size: Count = 4
    """Images of a batch."""
    accumulate: Count = 1
    """Batches whose mean gradient makes one optimiser step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """`sgd` (published, with Nesterov's momentum) or `adamw`."""
    lr: Positive = 1e-4
    """Rate at the start, at any batch size."""
    encoder_lr_scale: Annotated[Real, Field(gt=0, le=1)] = 0.1
    """The backbone's rate, as a share of `lr`."""
    momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.9
    """SGD's."""
    weight_decay: NonNegative = 0.0
    """Of the optimiser."""
    power: Positive = 0.9
    """Exponent of the polynomial decay."""
    min_lr: NonNegative = 1e-5
    """Rate at the end, and at the start of a warm-up."""
    warmup_iterations: CountOrZero = 0
    """Linear warm-up; half of all steps at most, where the data set is small."""
    schedule: Literal["poly", "poly_published"] = "poly"
    """`poly_published`: step 0 ignores the warm-up, as in the published code."""
    precision: Precision = "float32"
    """Of forward and backward pass. `bfloat16`, `float16`: autocast, float16 with loss scaling.
    `tf32`: float32 whose products a GPU rounds, where it can. `auto`: bfloat16 on a GPU that has
    it, else float32. On a CPU, `tf32` and `float16` are float32."""
    compile: Flag = False
    """Run the network through torch.compile: slow to start, faster afterwards on a GPU."""
    rounds: Annotated[int, Field(ge=1, le=5, strict=True)] = 1
    """Beyond the paper: after each round but the last, the segmenter's predictions on the training
    images, cut to their tags, replace the pseudo-labels, and a new segmenter starts from these."""
    relabel_scales: Scales = (1.0,)
    """Scales, each with its flip, of the predictions between rounds."""

    @field_validator("corrected")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not name or name.startswith(".") or set(name) & set("/\\") or name != name.strip():
            raise ValueError(
                "must be `none`, or the name of a folder in data/corrected/ without a path"
            )
        return name

    @model_validator(mode="after")
    def _region_fits(self) -> "DecoderParams":
        if self.start_value is not None and self.region > self.crop_size:
            raise ValueError(f"region ({self.region}) must not exceed crop_size ({self.crop_size})")
        return self
