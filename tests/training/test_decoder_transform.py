import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tests.training.data_sets import MEAN, STD, segmentation
from weaktr.labels import VOID
from weaktr.training.decoder_transform import _turn_hue, distort_colours
from weaktr.training.sampling import seeded


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


@pytest.mark.parametrize("share", [-0.1, -0.03, 0.0, 0.05, 0.1])
def test_hue_turns_as_torchvision_turns_it(share: float) -> None:
    grid = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, 17)] * 3, indexing="ij")).flatten(2)
    expected = v2.functional.adjust_hue(grid, share)
    torch.testing.assert_close(_turn_hue(grid, share), expected, rtol=0, atol=2e-6)


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
