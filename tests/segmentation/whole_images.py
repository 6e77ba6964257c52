"""Sliding windows from images to probabilities, in one call."""

from torch import Tensor

from weaktr.segmentation.network_passes import ScaleMasks, network_passes
from weaktr.segmentation.probabilities import mean_probabilities
from weaktr.segmentation.sliding_window import InferenceSettings, SegmentationModel, scaled_inputs


def all_passes(
    model: SegmentationModel, images: Tensor, settings: InferenceSettings
) -> list[ScaleMasks]:
    """Every scale and mirror image of images `[B, H, W, 3]`."""
    inputs = scaled_inputs(images, settings, mean=model.mean, std=model.std)
    return list(network_passes(model, inputs, settings))


def probabilities(model: SegmentationModel, images: Tensor, settings: InferenceSettings) -> Tensor:
    """`[B, K, H, W]` of images `[B, H, W, 3]`."""
    size = (images.shape[1], images.shape[2])
    return mean_probabilities(all_passes(model, images, settings), size)
