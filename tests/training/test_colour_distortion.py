import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from weaktr.training.colour_distortion import ColourDistortion
from weaktr.training.sampling import seeded


def every_colour(steps: int) -> Tensor:
    """All colours of a grid in [0, 1]: `[3, steps, steps**2]`."""
    axes = [torch.linspace(0, 1, steps)] * 3
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(2)


def hsv(image: Tensor) -> tuple[float, float, float]:
    return colorsys.rgb_to_hsv(*image.flatten().tolist())


def test_draws_are_the_published_ones_and_channels_are_never_swapped() -> None:
    colour = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    with seeded(0):
        moved = np.array([hsv(ColourDistortion.draw()(colour.clone())) for _ in range(400)])
    hue, saturation, value = moved.T
    turn = 360 * ((hue - hsv(colour)[0] + 0.5) % 1 - 0.5)
    assert -36.01 <= turn.min() < -32
    assert 32 < turn.max() <= 36.01
    assert (abs(turn) < 0.01).mean() == pytest.approx(0.5, abs=0.1)
    assert saturation.max() > 1.4 * hsv(colour)[1]
    assert value.min() == pytest.approx(0.5 * (0.5 - 32 / 255), abs=0.04)
    assert value.max() == pytest.approx(1.5 * (0.5 + 32 / 255), abs=0.06)


def test_distorted_colours_stay_colours() -> None:
    with seeded(0):
        for _ in range(50):
            distorted = ColourDistortion.draw()(every_colour(5))
            assert distorted.isfinite().all()
            assert distorted.min() >= -1e-6
            assert distorted.max() <= 1 + 1e-6


@pytest.mark.parametrize("hue", [-0.1, -0.03, 0.05, 0.1])
def test_hue_turns_as_torchvision_turns_it(hue: float) -> None:
    expected = v2.functional.adjust_hue(every_colour(17), hue)
    found = ColourDistortion(hue=hue)(every_colour(17))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("saturation", [0.5, 0.9, 1.2, 1.5])
@pytest.mark.parametrize("hue", [0.0, 0.06])
def test_saturation_is_that_of_hsv(saturation: float, hue: float) -> None:
    found = ColourDistortion(saturation=saturation, hue=hue)(every_colour(6)).flatten(1).T
    for before, after in zip(every_colour(6).flatten(1).T, found, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*before.tolist())
        expected = colorsys.hsv_to_rgb((h + hue) % 1, min(1.0, s * saturation), v)
        assert after.tolist() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("first", [True, False])
def test_brightness_is_added_and_contrast_multiplied(first: bool) -> None:
    distortion = ColourDistortion(
        brightness=0.1, contrast=1.5, contrast_first=first, saturation=0.5
    )
    assert distortion(torch.full((3, 1, 1), 0.2)).flatten().tolist() == pytest.approx([0.45] * 3)
    bright = distortion(torch.tensor([0.9, 0.5, 0.5]).view(3, 1, 1)).flatten().tolist()
    # Where contrast comes first, red is cut to 1 before half of its saturation is taken.
    assert bright == pytest.approx([1, 0.95, 0.95] if first else [1, 1, 1])
