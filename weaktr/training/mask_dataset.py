"""Images with their label maps, as samples."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from torch import Tensor
from torch.utils.data import Dataset

from weaktr.data.corrected import turned_mask
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.data.masks import check_label_map
from weaktr.errors import UserError
from weaktr.training.decoder_transform import SegmentationTransform
from weaktr.training.sampling import Key, sample_seed, seeded


class MaskDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with a label map: `[3, S, S]` float and `[S, S]` int64.

    Args:
        manifest: The images of one split.
        masks: Path of each image's label map, by image id.
        transform: Joint augmentation; large photographs are decoded no larger than it needs them.
        seed: The run's seed.
        orientations: EXIF orientation by which a label map is still to be turned upright, by image
            id; those that are not in it lie on their image as they are.

    Raises:
        UserError: If an image has no label map.
    """

    def __init__(
        self,
        manifest: Manifest,
        masks: Mapping[str, str | Path],
        transform: SegmentationTransform,
        *,
        seed: int,
        orientations: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        missing = [record.id for record in manifest.records if record.id not in masks]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(manifest.records)} training images have no label map, "
                f"the first is {missing[0]!r}; decoder.labels_from needs one for each image, "
                "called <image id>.png (the stage export_labels makes data/pseudo-labels)."
            )
        self.records = manifest.records
        self.num_labels = len(manifest.classes) + 1
        self.masks = masks
        self.transform = transform
        self.seed = seed
        self.orientations = dict(orientations)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = key
        record = self.records[index]
        seed = sample_seed(self.seed, epoch, record.id)
        shrink = self.transform.shrink(record.width, record.height, seed=seed)
        image = read_image(record.image, shrink=shrink)
        mask = self.masks[record.id]
        label = turned_mask(mask, self.orientations.get(record.id, 1))
        size = (image.width, image.height) if shrink == 1 else (record.width, record.height)
        check_label_map(label, mask, self.num_labels, size, record.image)
        with seeded(seed):
            return self.transform(image, label)
