import colorsys
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weaktr.config.cam import CamAugmentParams
from weaktr.config.decoder import DecoderAugmentParams
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask
from weaktr.errors import UserError
from weaktr.labels import VOID
from weaktr.training.cam_transform import cam_training_transform, to_tensor
from weaktr.training.decoder_transform import SegmentationTransform, distort_colours
from weaktr.training.mask_dataset import MaskDataset
from weaktr.training.sampling import EpochSampler, seeded, training_loader
from weaktr.training.tag_dataset import TagDataset

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
AUGMENT = DecoderAugmentParams(short_side=24, ratio_min=0.5, ratio_max=2.0)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rng = np.random.default_rng(0)
    records = []
    for i in range(7):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(path)
        mask = rng.integers(0, 3, (20 + i, 30), dtype=np.uint8)
        write_mask(tmp_path / f"{i}-mask.png", mask)
        tags = ("a", "b")[: 1 + i % 2]
        records.append(Record(str(i), str(path), "train", tags, 30, 20 + i, ""))
    return Manifest(("a", "b"), tuple(records))


def mask_paths(manifest: Manifest) -> dict[str, str]:
    return {r.id: r.image.replace(".png", "-mask.png") for r in manifest.records}


def cam_dataset(manifest: Manifest, seed: int = 0) -> TagDataset:
    transform = cam_training_transform(CamAugmentParams(), input_size=16, mean=MEAN, std=STD)
    return TagDataset(manifest, transform, seed=seed)


def batches(dataset, workers: int, epoch: int, seed: int = 0) -> list[list[torch.Tensor]]:
    sampler = EpochSampler(len(dataset), seed=seed)
    sampler.epoch = epoch
    loader = training_loader(dataset, sampler, batch_size=3, workers=workers, pin_memory=False)
    return [list(batch) for batch in loader]


def equal(a: list[list[torch.Tensor]], b: list[list[torch.Tensor]]) -> bool:
    pairs = zip(a, b, strict=True)
    return all(torch.equal(x, y) for m, n in pairs for x, y in zip(m, n, strict=True))


def test_batches_do_not_depend_on_the_number_of_workers(manifest: Manifest) -> None:
    dataset = cam_dataset(manifest)
    alone = batches(dataset, workers=0, epoch=1)
    random.seed(99)
    torch.manual_seed(99)
    assert equal(alone, batches(dataset, workers=2, epoch=1))
    assert len(alone) == 2  # 7 samples, the incomplete batch is dropped


def test_epochs_and_seeds_differ(manifest: Manifest) -> None:
    dataset = cam_dataset(manifest)
    first = batches(dataset, 0, epoch=0)
    assert not equal(first, batches(dataset, 0, epoch=1))
    assert not equal(first, batches(cam_dataset(manifest, seed=1), 0, epoch=0))


def test_a_single_small_batch_is_kept(manifest: Manifest) -> None:
    dataset = cam_dataset(Manifest(manifest.classes, manifest.records[:2]))
    assert [len(batch[0]) for batch in batches(dataset, 0, epoch=0)] == [2]


def test_targets_are_multi_hot(manifest: Manifest) -> None:
    _, target = cam_dataset(manifest)[0, 1]
    assert target.tolist() == [1.0, 1.0]
    _, target = cam_dataset(manifest)[0, 2]
    assert target.tolist() == [1.0, 0.0]


def test_seeding_leaves_the_global_generators_alone() -> None:
    before = random.getstate(), torch.get_rng_state()
    with seeded(5):
        drawn = random.random(), np.random.rand(), torch.rand(())  # noqa: NPY002
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    with seeded(5):
        assert drawn == (random.random(), np.random.rand(), torch.rand(()))  # noqa: NPY002


@pytest.mark.parametrize("policy", ["rand-m10-mstd0.5-inc1", "augmix-m10-mstd0.5"])
def test_pillow_is_never_asked_for_zero_bits(policy: str) -> None:
    transform = cam_training_transform(
        CamAugmentParams(auto_augment=policy), input_size=16, mean=MEAN, std=STD
    )
    augment = next(t for t in transform.transforms if hasattr(t, "ops"))
    posterize = next(op for op in augment.ops if op.name.startswith("Posterize"))
    image = Image.fromarray(np.full((8, 8, 3), 255, np.uint8))
    assert np.asarray(posterize.aug_fn(image, 0)).max() == 128  # the top bit is kept
    with seeded(0):
        for _ in range(300):
            transform(image)


@pytest.mark.parametrize("policy", ["nonsense", "rand-x9", "augmix-q3"])
def test_an_unknown_policy_is_one_sentence(policy: str) -> None:
    params = CamAugmentParams(auto_augment=policy)
    with pytest.raises(UserError, match=r"auto_augment must be .* Got: '" + policy):
        cam_training_transform(params, input_size=16, mean=MEAN, std=STD)


def test_to_tensor_normalises() -> None:
    image = Image.fromarray(np.full((2, 3, 3), 51, np.uint8))
    tensor = to_tensor(image, MEAN, STD)
    assert tensor.shape == (3, 2, 3)
    assert tensor[:, 0, 0].tolist() == pytest.approx([-1.5, -2 / 3, -0.25])


def segmentation(crop_size: int = 32, **changes: object) -> SegmentationTransform:
    params = AUGMENT.model_copy(update=changes)
    return SegmentationTransform(params, crop_size=crop_size, mean=MEAN, std=STD)


def test_image_and_label_stay_aligned() -> None:
    """Red marks class 1: wherever the label says 1, the image must be red, and nowhere else."""
    label = np.zeros((40, 60), np.uint8)
    label[10:30, 20:45] = 1
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[label == 1, 0] = 255
    transform = segmentation(photometric=False, max_class_share=1.0)
    for seed in range(20):
        with seeded(seed):
            image, target = transform(Image.fromarray(pixels), label)
        red = image[0] * STD[0] + MEAN[0] > 0.5
        known = target != VOID
        assert image.shape == (3, 32, 32)
        assert target.shape == (32, 32)
        assert target.dtype == torch.int64
        disagree = (red != (target == 1)) & known
        assert disagree.float().mean() < 0.05  # interpolation at the border of the rectangle


def test_small_images_are_padded_with_the_mean_and_void() -> None:
    transform = segmentation(ratio_max=0.5, photometric=False)
    with seeded(0):
        image, target = transform(
            Image.new("RGB", (24, 24), (255, 255, 255)), np.zeros((24, 24), np.uint8)
        )
    assert (target[:12, :12] == 0).all()
    assert (target[12:] == VOID).all()
    assert (target[:, 12:] == VOID).all()
    assert (image[:, 12:] == 0).all()


def hsv(image: torch.Tensor) -> tuple[float, float, float]:
    return colorsys.rgb_to_hsv(*image.flatten().tolist())


def test_colours_are_distorted_as_published_and_channels_never_swapped() -> None:
    colour = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    with seeded(0):
        moved = np.array([hsv(distort_colours(colour)) for _ in range(400)])
    hue, saturation, value = moved.T
    turn = 360 * ((hue - hsv(colour)[0] + 0.5) % 1 - 0.5)
    assert -36.01 <= turn.min() < -32
    assert 32 < turn.max() <= 36.01
    assert (abs(turn) < 0.01).mean() == pytest.approx(0.5, abs=0.1)
    assert saturation.max() > 1.4 * hsv(colour)[1]
    assert value.min() == pytest.approx(0.5 * (0.5 - 32 / 255), abs=0.04)
    assert value.max() == pytest.approx(1.5 * (0.5 + 32 / 255), abs=0.06)


def test_distorted_colours_stay_colours() -> None:
    image = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, 5)] * 3, indexing="ij")).flatten(2)
    with seeded(0):
        for _ in range(50):
            distorted = distort_colours(image)
            assert distorted.isfinite().all()
            assert distorted.min() >= -1e-6
            assert distorted.max() <= 1 + 1e-6


@pytest.mark.parametrize(("width", "height"), [(600, 2), (2, 600)])
def test_strips_are_resized_to_eight_short_sides_at_most(width: int, height: int) -> None:
    transform = segmentation(8 * 24, ratio_min=1.0, ratio_max=1.0, photometric=False)
    _, target = transform(Image.new("RGB", (width, height)), np.zeros((height, width), np.uint8))
    known = (target != VOID).nonzero().amax(dim=0) + 1
    assert sorted(known.tolist()) == [1, 8 * 24]


def test_a_crop_is_redrawn_while_one_class_dominates() -> None:
    label = np.zeros((24, 192), np.uint8)
    label[:, 80:112] = 1
    pixels = Image.new("RGB", (192, 24))
    shares = {}
    for limit in (0.75, 1.0):
        transform = segmentation(24, ratio_min=1.0, ratio_max=1.0, max_class_share=limit)
        mixed = 0
        for seed in range(40):
            with seeded(seed):
                mixed += len(transform(pixels, label)[1].unique()) > 1
        shares[limit] = mixed
    assert shares[0.75] > 2 * shares[1.0] > 0, shares


def test_missing_and_misfit_label_maps_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    paths = mask_paths(manifest)
    with pytest.raises(UserError, match=r"1 of 7 training images have no label map.*'3'"):
        MaskDataset(manifest, {k: v for k, v in paths.items() if k != "3"}, segmentation(), seed=0)
    write_mask(tmp_path / "0-mask.png", np.zeros((5, 6), np.uint8))
    with pytest.raises(UserError, match="is 6x5 pixels but its image .* is 30x20"):
        MaskDataset(manifest, paths, segmentation(), seed=0)[0, 0]
