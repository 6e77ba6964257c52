"""Torch data sets whose augmentation depends on (seed, epoch, sample id) and on nothing else.

An item is asked for as `(epoch, index)`. Results then do not depend on the number of loader
processes, and an epoch can be repeated alone, which is what makes a resumed run equal an
uninterrupted one.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.errors import UserError

Key = tuple[int, int]


def sample_seed(*parts: object) -> int:
    """A 32-bit seed from any printable parts, equal on every machine."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds `random`, `numpy` and `torch` (CPU) inside the block and restores them after it."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


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


class MaskDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with a label map: `[3, S, S]` float and `[S, S]` int64.

    Args:
        manifest: The images of one split.
        masks: Path of each image's label map, by image id.
        transform: Joint transform of an RGB image and a uint8 label map `[H, W]`.
        seed: The run's seed.

    Raises:
        UserError: If an image has no label map.
    """

    def __init__(
        self,
        manifest: Manifest,
        masks: Mapping[str, str | Path],
        transform: Callable[[Image.Image, np.ndarray], tuple[Tensor, Tensor]],
        *,
        seed: int,
    ) -> None:
        missing = [record.id for record in manifest.records if record.id not in masks]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(manifest.records)} training images have no label map, "
                f"the first is {missing[0]!r}; export labels for all of them first."
            )
        self.records = manifest.records
        self.masks = masks
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = key
        record = self.records[index]
        image = read_image(record.image)
        label = read_mask(self.masks[record.id])
        if label.shape != (image.height, image.width):
            raise UserError(
                f"{self.masks[record.id]} is {label.shape[1]}x{label.shape[0]} pixels but its "
                f"image {record.image} is {image.width}x{image.height}; remake the label map."
            )
        with seeded(sample_seed(self.seed, epoch, record.id)):
            return self.transform(image, label)


class EpochSampler(Sampler[Key]):
    """Every index once an epoch, in an order drawn from (seed, epoch)."""

    def __init__(self, length: int, *, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Key]:
        generator = torch.Generator().manual_seed(sample_seed(self.seed, self.epoch, "order"))
        order = torch.randperm(self.length, generator=generator).tolist()
        yield from ((self.epoch, index) for index in order)


def training_loader(
    dataset: Dataset[tuple[Tensor, Tensor]],
    sampler: EpochSampler,
    *,
    batch_size: int,
    workers: int,
    pin_memory: bool,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches in the sampler's order; the last, smaller batch is dropped unless it is the only one.

    Args:
        dataset: Takes `(epoch, index)` keys.
        sampler: Gives the keys.
        batch_size: Samples a batch.
        workers: Loader processes; they stay alive between epochs.
        pin_memory: Whether batches go to a CUDA device.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        drop_last=len(sampler) >= batch_size,
        generator=torch.Generator(),  # else it draws from the network's, more or less with workers
    )
