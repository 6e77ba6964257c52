"""Images with their tags, as samples."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.training.cam_transform import CamTransform
from weaktr.training.sampling import Key, sample_seed, seeded


class TagDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with their tags as multi-hot vectors: `[3, S, S]` and `[C]`, both float.

    Args:
        manifest: The images of one split.
        transform: Augmentation; large photographs are decoded no larger than it needs them.
        seed: The run's seed.
    """

    def __init__(self, manifest: Manifest, transform: CamTransform, *, seed: int) -> None:
        self.records = manifest.records
        self.targets = torch.from_numpy(manifest.targets())
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = key
        record = self.records[index]
        seed = sample_seed(self.seed, epoch, record.id)
        shrink = self.transform.shrink(record.width, record.height, seed=seed)
        image = read_image(record.image, shrink=shrink)
        with seeded(seed):
            return self.transform(image, (record.width, record.height)), self.targets[index]
