"""Images with their tags, as samples."""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.training.sampling import Key, sample_seed, seeded


class TagDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with their tags as multi-hot vectors: `[3, S, S]` and `[C]`, both float.

    Args:
        manifest: The images of one split.
        transform: From an RGB image to a tensor; may draw from the global generators.
        seed: The run's seed.
    """

    def __init__(
        self, manifest: Manifest, transform: Callable[[Image.Image], Tensor], *, seed: int
    ) -> None:
        self.records = manifest.records
        self.targets = torch.from_numpy(manifest.targets())
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = key
        record = self.records[index]
        image = read_image(record.image)
        with seeded(sample_seed(self.seed, epoch, record.id)):
            return self.transform(image), self.targets[index]
