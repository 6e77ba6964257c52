"""Large JPEG files are decoded no larger than a sample needs, and the sample stays the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.data_sets import MEAN, STD, segmentation
from weaktr.config.cam import CamAugmentParams
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask
from weaktr.training.cam_transform import CamTransform, cam_training_transform
from weaktr.training.decoder_transform import SegmentationTransform
from weaktr.training.mask_dataset import MaskDataset
from weaktr.training.tag_dataset import TagDataset

WIDTH, HEIGHT = 802, 600


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A smooth picture, so that what is compared is where its parts are."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(x / 57), np.cos(y / 43), np.sin((x + y) / 71)]
    pixels = (127 + 100 * np.stack(waves, axis=2)).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, quality=95)
    return path


@pytest.mark.parametrize(("shrink", "size"), [(1, (802, 600)), (2, (401, 300)), (8, (101, 75))])
def test_jpeg_files_are_decoded_smaller(
    photograph: Path, shrink: int, size: tuple[int, int]
) -> None:
    assert read_image(photograph, shrink=shrink).size == size
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(photograph) as image:
        image.save(photograph.with_name("turned.jpg"), exif=exif)
        image.save(photograph.with_name("a.png"))
    assert read_image(photograph.with_name("turned.jpg"), shrink=shrink).size == size[::-1]
    assert read_image(photograph.with_name("a.png"), shrink=shrink).size == (WIDTH, HEIGHT)


def grey_levels(a: torch.Tensor, b: torch.Tensor) -> float:
    """The mean difference of two normalised images."""
    return 255 * ((a - b).abs() * torch.tensor(STD).view(3, 1, 1)).mean().item()


def manifest_of(photograph: Path) -> Manifest:
    record = Record("a", str(photograph), "train", ("cat",), WIDTH, HEIGHT, "d")
    return Manifest(("cat",), (record,))


def test_samples_of_the_cam_network_stay_the_same(
    photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = CamAugmentParams(auto_augment=None, color_jitter=0, erase_probability=0)
    transform = cam_training_transform(params, input_size=48, mean=MEAN, std=STD)
    dataset = TagDataset(manifest_of(photograph), transform, seed=0)
    samples = [dataset[epoch, 0][0] for epoch in range(12)]
    shrunk = {transform.shrink(WIDTH, HEIGHT, seed=seed) for seed in range(40)}
    assert shrunk == {1, 2, 4}
    assert transform.shrink(190, 190, seed=0) == 1
    monkeypatch.setattr(CamTransform, "shrink", lambda self, width, height, seed: 1)
    for epoch, sample in enumerate(samples):
        assert grey_levels(sample, dataset[epoch, 0][0]) < 1.5


def test_samples_of_the_segmenter_stay_the_same(
    photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = photograph.with_suffix(".png")
    write_mask(mask, (np.mgrid[0:HEIGHT, 0:WIDTH].sum(0) // 200 % 2).astype(np.uint8))
    transform = segmentation(64, short_side=90, photometric=False)
    dataset = MaskDataset(manifest_of(photograph), {"a": mask}, transform, seed=0)
    samples = [dataset[epoch, 0] for epoch in range(12)]
    assert {transform.shrink(WIDTH, HEIGHT, seed=seed) for seed in range(40)} == {1, 2, 4}
    assert transform.shrink(170, 170, seed=0) == 1
    monkeypatch.setattr(SegmentationTransform, "shrink", lambda self, width, height, seed: 1)
    for epoch, (image, label) in enumerate(samples):
        expected = dataset[epoch, 0]
        assert torch.equal(label, expected[1])
        assert grey_levels(image, expected[0]) < 1
