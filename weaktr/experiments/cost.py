"""What a recipe costs: FLOPs of its networks, and the GPU hours that follow by assumption."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from weaktr.config.dataset import DatasetParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.config.params import Params
from weaktr.config.values import Precision
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.flops import (
    cam_flops,
    cam_training_flops,
    segmenter_flops,
    segmenter_training_flops,
)
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.sliding_window import enlarged_size, scaled_size, window_starts

RATES: dict[Precision, float] = {
    "float32": 8e12,
    "tf32": 30e12,
    "float16": 60e12,
    "bfloat16": 60e12,
    "auto": 60e12,
}
"""FLOP per second that a GPU is assumed to sustain."""
ASSUMED = (
    "Estimated, not measured: an A100 at 40 % of its float32 peak (8 TFLOP/s), or 20 % of its TF32 "
    "(30) or 16-bit (60) peak; small batches and slow disks can double it. The CRF, on the CPU, "
    "comes on top: about 0.5 s per image and core."
)


@dataclass(frozen=True)
class DataSize:
    """How much data there is.

    Attributes:
        name: What to call it.
        train, evaluated: Images.
        classes: Without background.
        image: Height and width of a usual image, in pixels.
    """

    name: str
    train: int
    evaluated: int
    classes: int
    image: tuple[int, int]


@dataclass(frozen=True)
class StepCost:
    """One step of the pipeline.

    Attributes:
        step: Such as `segmenter, 100 epochs`.
        precision: Of its networks.
        flops: In all; a multiplication and an addition are two.
    """

    step: str
    precision: Precision
    flops: float

    @property
    def hours(self) -> float:
        """Of one GPU, at the rate assumed."""
        return self.flops / RATES[self.precision] / 3600


VOC_IMAGES = {"train": 1464, "train_aug": 10582, "val": 1449, "test": 1456}
COCO_IMAGES = {"train": 82081, "val": 40504}
"""As the published lists count them: images with at least one tag."""


def data_size(params: DatasetParams) -> DataSize:
    """The images that a recipe is about; a thousand where nobody knows."""
    classes = len(params.classes)
    if params.kind == "shapes":
        shapes = params.shapes
        side = (shapes.image_side,) * 2
        return DataSize("the demo", shapes.train_images, shapes.val_images, classes or 5, side)
    if params.kind == "voc" and params.train_split in VOC_IMAGES:
        counts = (VOC_IMAGES[params.train_split], VOC_IMAGES.get(params.val_split, 1449))
        return DataSize("VOC 2012", *counts, classes or 20, (375, 500))
    if params.kind == "coco":
        return DataSize(
            "COCO 2014", COCO_IMAGES["train"], COCO_IMAGES["val"], classes or 80, (480, 640)
        )
    return DataSize("unknown data (assumed)", 1000, 250, classes or 20, (375, 500))


def recipe_cost(params: Params) -> tuple[DataSize, list[StepCost]]:
    """FLOPs of every step, from the shapes of the networks; nothing is computed.

    Args:
        params: All of a recipe.

    Raises:
        UserError: If a network cannot be built so.
    """
    data = data_size(params.dataset)
    cam, labels, decoder = params.cam, params.labels, params.decoder
    with torch.device("meta"):  # shapes without memory
        network = CAMNetwork.from_params(cam, data.classes, pretrained=False)
        segmenter = Segmenter.from_params(decoder, data.classes, pretrained=False)
    evaluation = params.evaluation
    windows = window_count(data.image, evaluation)
    cam_epochs = cam.epochs + cam.cooldown_epochs
    epochs = decoder.epochs * decoder.rounds
    size = _working(data.image, labels.long_side)
    cams = sum(cam_flops(network, scaled_size(size, scale)) for scale in labels.scales)
    cam_step = cam_training_flops(network, (cam.input_size,) * 2)
    step = segmenter_training_flops(segmenter, (decoder.crop_size,) * 2)
    window = segmenter_flops(segmenter, (evaluation.window,) * 2)
    return data, [
        StepCost(
            f"CAM network, {cam_epochs} epochs", cam.precision, cam_step * data.train * cam_epochs
        ),
        StepCost(
            f"CAMs, {_scales(labels.scales, labels.flip)}",
            labels.precision,
            cams * (1 + labels.flip) * data.train,
        ),
        StepCost(f"segmenter, {epochs} epochs", decoder.precision, step * data.train * epochs),
        StepCost(
            f"evaluation, {_scales(evaluation.scales, evaluation.flip)}, {windows} "
            f"window{'s' * (windows > 1)}",
            evaluation.precision,
            window * windows * data.evaluated,
        ),
    ]


def window_count(image: tuple[int, int], params: EvaluationParams) -> int:
    """Windows that the segmenter looks at for one image, at all scales and flips."""
    total = 0
    for scale in params.scales:
        size = enlarged_size(scaled_size(image, scale, params.short_side), params.window)
        rows, columns = (len(window_starts(side, params.window, params.stride)) for side in size)
        total += rows * columns
    return total * (1 + params.flip)


def _working(image: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    factor = 1.0 if long_side is None else min(1.0, long_side / max(image))
    return scaled_size(image, factor)


def _scales(scales: Sequence[float], flip: bool) -> str:
    return f"{len(scales)} scale{'s' * (len(scales) > 1)}{' with flips' * flip}"
