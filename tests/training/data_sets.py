"""The data sets of both trainings, small."""

from weaktr.config.cam import CamAugmentParams
from weaktr.config.decoder import DecoderAugmentParams
from weaktr.data.manifest import Manifest
from weaktr.training.cam_transform import cam_training_transform
from weaktr.training.decoder_transform import SegmentationTransform
from weaktr.training.tag_dataset import TagDataset

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
AUGMENT = DecoderAugmentParams(short_side=24, ratio_min=0.5, ratio_max=2.0)


def tag_dataset(manifest: Manifest, seed: int = 0) -> TagDataset:
    """Images with tags, augmented."""
    transform = cam_training_transform(CamAugmentParams(), input_size=16, mean=MEAN, std=STD)
    return TagDataset(manifest, transform, seed=seed)


def segmentation(crop_size: int = 32, **changes: object) -> SegmentationTransform:
    """The segmenter's augmentation, with changes of its params."""
    params = AUGMENT.model_copy(update=changes)
    return SegmentationTransform(params, crop_size=crop_size, mean=MEAN, std=STD)
