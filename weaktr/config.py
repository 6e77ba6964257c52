"""Typed, validated params: one pydantic model per section of `params.yaml`.

DVC hashes the raw YAML values; the code only ever sees these models. Unknown keys, wrong types,
out-of-range values and impossible combinations are refused with the key's path, the value, and
what is allowed. Keys named `size` or `nfiles` must never exist: DVC drops them from the hash of a
stage, so that changing them would restore an old result.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from weaktr.errors import UserError


def _number_from_text(value: Any) -> Any:
    """`1e-4` and `3e-05` are strings to PyYAML (YAML 1.1 wants a dot); floats to everybody else."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, bool):
        raise ValueError("Input should be a number, not true or false")
    return value


Real = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
Positive = Annotated[Real, Field(gt=0)]
NonNegative = Annotated[Real, Field(ge=0)]
Count = Annotated[int, Field(ge=1, strict=True)]
CountOrZero = Annotated[int, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Scales = Annotated[tuple[Positive, ...], Field(min_length=1)]
Precision = Literal["float32", "bfloat16"]


class Section(BaseModel):
    """A section of params: immutable, and without room for keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ShapesParams(Section):
    """The generated demo data set (`dataset.kind: shapes`)."""

    data_seed: CountOrZero = 7
    train_images: Count = 600
    val_images: Count = 150
    image_side: Annotated[int, Field(ge=32, le=1024, strict=True)] = 96


class DatasetParams(Section):
    """Where images and tags come from."""

    kind: Literal["shapes", "voc", "coco", "folder"] = "shapes"
    root: str = "data/raw/shapes"
    train_split: str = "train"
    val_split: str = "val"
    classes: tuple[str, ...] = ()
    """Subset and order of classes; empty: all that the reader knows."""
    other_classes: Literal["void", "background"] = "void"
    """What pixels of classes outside `classes` become."""
    tags_from: Literal["auto", "annotations", "table", "masks"] = "auto"
    crowd: Literal["void", "keep"] = "void"
    """COCO: crowd regions become void, or keep their class."""
    val_share: Annotated[Real, Field(ge=0, lt=1)] = 0.2
    """Folder without a split column: the share of images held out, chosen by a digest of the id."""
    shapes: ShapesParams = ShapesParams()

    @model_validator(mode="after")
    def _classes_once(self) -> "DatasetParams":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must not name a class twice")
        return self


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


class CrfParams(Section):
    """Dense CRF: mean field with a Gaussian and a bilateral kernel (Krähenbühl & Koltun, 2011)."""

    backend: Literal["none", "lattice", "pydensecrf"] = "lattice"
    iterations: Count = 10
    confidence: Annotated[Real, Field(gt=0, lt=1)] = 0.7
    """Probability given to a hard label (unused when the input is probabilities)."""
    gaussian_sxy: Positive = 4.0
    gaussian_compat: NonNegative = 3.0
    bilateral_sxy: Positive = 83.0
    bilateral_srgb: Positive = 5.0
    bilateral_compat: NonNegative = 3.0


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
    """For 512 images a step; scaled by (batch_size * accumulate) / 512."""
    backbone_lr_scale: Annotated[Real, Field(gt=0, le=1)] = 1.0
    """Rate of the backbone's blocks and patch embedding, as a share of `lr` (published: 1)."""
    weight_decay: NonNegative = 0.03
    warmup_epochs: CountOrZero = 5
    warmup_lr: NonNegative = 1e-6
    min_lr: NonNegative = 1e-5
    cooldown_epochs: CountOrZero = 0
    """Epochs at `min_lr` after `epochs`. (The published code sets 10 and never reaches them.)"""
    schedule: Literal["cosine", "cosine_published"] = "cosine"
    """`cosine_published`: one rate an epoch, one epoch late, as the published code steps it."""
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


class LabelParams(Section):
    """CAMs to pseudo-labels."""

    scales: Scales = (1.0, 1.2)
    flip: Flag = True
    long_side: Count | None = None
    """Larger images are shrunk to this long side first; their labels are enlarged again."""
    affinity: Flag = True
    """Propagate the fused CAM by the patch-to-patch affinity."""
    background_score: Annotated[Real, Field(gt=0, lt=1)] | Literal["sweep"] = 0.43
    """A fixed score, or `sweep`: the best one by *training masks*, as the published code does."""
    crf: CrfParams = CrfParams()


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

    backbone: BackboneParams = BackboneParams()
    crop_size: Annotated[int, Field(ge=16, strict=True)] = 480
    layers: Count = 2
    heads: Count | None = None
    """Attention heads of the mask transformer; null: one for 64 channels, at least one."""
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


class EvaluationParams(Section):
    """Sliding-window inference and scores."""

    split: str = "val"
    window: Annotated[int, Field(ge=16, strict=True)] = 480
    stride: Count = 320
    short_side: Count | None = None
    """Short side of an image at scale 1 (published: 520); null: the image's own."""
    scales: Scales = (1.0,)
    flip: Flag = True
    early_weight: NonNegative = 0.0
    """Weight of the masks read before the mask transformer's last block, added to the final ones'
    1. The published evaluation uses 0.8."""
    crf: CrfParams = CrfParams(backend="none", gaussian_sxy=3.0)
    save_masks: Flag = True

    @model_validator(mode="after")
    def _stride_fits(self) -> "EvaluationParams":
        if self.stride > self.window:
            raise ValueError(
                f"stride ({self.stride}) must not exceed window ({self.window}), "
                "else pixels between windows are never seen"
            )
        return self


class RuntimeParams(Section):
    """How to run, not what to compute: no stage depends on this block."""

    device: str = "auto"
    """`auto` (CUDA if there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`."""
    workers: CountOrZero = 0
    """Loader processes; 0 loads in the main process."""
    threads: CountOrZero = 0
    """CPU threads of torch; 0: as many as there are cores."""
    checkpoint_epochs: Count = 1
    """A checkpoint to resume from every so many epochs."""
    activation_checkpointing: Flag = False
    experiment: str = "weaktr"
    """Name of the MLflow experiment."""


class Params(Section):
    """The whole of `params.yaml`."""

    dataset: DatasetParams = DatasetParams()
    seed: CountOrZero = 0
    cam: CamParams = CamParams()
    labels: LabelParams = LabelParams()
    decoder: DecoderParams = DecoderParams()
    evaluation: EvaluationParams = EvaluationParams()
    runtime: RuntimeParams = RuntimeParams()


def _key_path(location: tuple[int | str, ...]) -> str:
    """`cam.lr` from pydantic's location, without the names it gives to members of a union."""
    return ".".join(str(part) for part in location if "[" not in str(part))


def _similar_key(location: tuple[int | str, ...]) -> str:
    """` Did you mean ...?` for a misspelt key, or nothing."""
    section: Any = Params
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    close = difflib.get_close_matches(str(location[-1]), section.model_fields, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _describe(error: ValidationError, source: str) -> str:
    """One sentence for the first problem found, with a count of the others."""
    reasons: dict[str, list[str]] = {}
    for problem in error.errors():
        path = _key_path(problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            reason = "no such key." + _similar_key(problem["loc"])
        reasons.setdefault(path, []).append(reason[0].lower() + reason[1:])
    first = error.errors()[0]
    path = _key_path(first["loc"])
    given = first.get("input")
    value = "" if isinstance(given, dict | BaseModel) else f" Got: {given!r}."
    others = f" ({len(reasons) - 1} more wrong)" if len(reasons) > 1 else ""
    reason = " or ".join(reasons[path]).rstrip(".")
    end = "" if reason.endswith("?") else "."
    return f"{source}: {path or 'params'}: {reason}{end}{value}{others}"


def parse_params(values: Any, source: str = "params.yaml") -> Params:
    """Validates plain values.

    Args:
        values: What a YAML loader made of the file: a mapping of sections.
        source: Name to use in messages.

    Raises:
        UserError: With the key's path, the value, and what is allowed.
    """
    if not isinstance(values, dict):
        raise UserError(f"{source} must be a mapping of sections. Got: {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(_describe(error, source)) from None


def load_params(path: str | Path = "params.yaml") -> Params:
    """Reads and validates a params file.

    Raises:
        UserError: If the file is missing, is not YAML, or does not validate.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run from the project's folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML: {reason}.") from None
    return parse_params({} if values is None else values, str(path))
