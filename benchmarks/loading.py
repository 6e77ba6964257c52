"""Samples a second of both trainings' data sets, with and without loader processes.

`python -m benchmarks.loading` prints them; the plain way of the CAM network's is timm's pipeline.
"""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.crf import scene
from weaktr.config.cam import CamAugmentParams
from weaktr.config.decoder import DecoderAugmentParams
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask
from weaktr.training.cam_transform import cam_training_transform
from weaktr.training.decoder_transform import SegmentationTransform
from weaktr.training.loading import training_loader
from weaktr.training.mask_dataset import MaskDataset
from weaktr.training.sampling import EpochSampler, sample_seed
from weaktr.training.tag_dataset import TagDataset

IMAGES = 48
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Samples = Dataset[tuple[Tensor, Tensor]]


def photographs(folder: Path, count: int = IMAGES) -> tuple[Manifest, dict[str, Path]]:
    """Writes generated photographs of 500 x 375 as JPEG, and label maps; gives both."""
    image, labels = scene(5)
    records, maps = [], {}
    for i in range(count):
        path, maps[str(i)] = folder / f"{i}.jpg", folder / f"{i}.png"
        Image.fromarray(np.roll(image, 7 * i, axis=1)).save(path, quality=90)
        write_mask(maps[str(i)], np.roll(labels, 7 * i, axis=1))
        records.append(Record(str(i), str(path), "train", ("a",), 500, 375, ""))
    return Manifest(("a", "b", "c", "d"), tuple(records)), maps


def cam_samples(manifest: Manifest) -> TagDataset:
    """The CAM network's, at 224, with the published augmentation."""
    transform = cam_training_transform(CamAugmentParams(), input_size=224, mean=MEAN, std=STD)
    return TagDataset(manifest, transform, seed=0)


def decoder_samples(manifest: Manifest, maps: dict[str, Path]) -> MaskDataset:
    """The segmenter's, at crop 480, with the published augmentation."""
    transform = SegmentationTransform(DecoderAugmentParams(), crop_size=480, mean=MEAN, std=STD)
    return MaskDataset(manifest, maps, transform, seed=0)


class PlainTimm(Dataset[tuple[Tensor, Tensor]]):
    """Pillow and timm as they are, seeded like ours (without putting the generators back)."""

    def __init__(self, manifest: Manifest) -> None:
        self.records = manifest.records
        self.transform: Callable[[Image.Image], Tensor] = create_transform(
            224,
            is_training=True,
            color_jitter=0.4,
            auto_augment="rand-m9-mstd0.5-inc1",
            interpolation="bicubic",
            re_prob=0.25,
            re_mode="pixel",
        )

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key
        seed = sample_seed(0, epoch, self.records[index].id)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.random.default_generator.manual_seed(seed)
        with Image.open(self.records[index].image) as image:
            return self.transform(image.convert("RGB")), torch.zeros(4)


def samples_per_second(dataset: Samples, *, workers: int, batch_size: int = 8) -> float:
    """Of one epoch, after one to warm up.

    Args:
        dataset: A multiple of `batch_size` long.
        workers: Loader processes; 0: this one.
        batch_size: Samples of a batch.
    """
    length = len(dataset)  # type: ignore[arg-type]
    sampler = EpochSampler(length, seed=0)
    loader = training_loader(
        dataset, sampler, batch_size=batch_size, workers=workers, pin_memory=False
    )
    for epoch in range(2):
        sampler.begin(epoch)
        start = time.perf_counter()
        for _ in loader:
            pass
    return length / (time.perf_counter() - start)


def main() -> None:
    """Prints the rates, medians of five turns."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        manifest, maps = photographs(Path(folder))
        rows: dict[str, Samples] = {
            "CAM network, 224": cam_samples(manifest),
            "  plain timm": PlainTimm(manifest),
            "segmenter, crop 480": decoder_samples(manifest, maps),
        }
        print("samples/s".ljust(22) + "".join(f"{n} workers".rjust(12) for n in (0, 1, 2)))
        rates = [
            [[samples_per_second(data, workers=n) for n in (0, 1, 2)] for data in rows.values()]
            for _ in range(5)
        ]
        for name, row in zip(rows, np.median(rates, axis=0), strict=True):
            print(name.ljust(22) + "".join(f"{rate:12.0f}" for rate in row))


if __name__ == "__main__":
    main()
