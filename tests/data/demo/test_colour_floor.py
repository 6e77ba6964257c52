import numpy as np
import pytest

from weaktr.config.dataset import ShapesParams
from weaktr.data.demo.colour_floor import Pair, colour_miou
from weaktr.data.demo.dataset import CLASSES, draw_shapes_scene
from weaktr.data.demo.scenes import Scene
from weaktr.labels import VOID

SMALL = ShapesParams(data_seed=3, train_images=30, val_images=10)


def scenes(count: int, params: ShapesParams = SMALL, split: str = "train") -> list[Scene]:
    return [draw_shapes_scene(params, split, index) for index in range(count)]


@pytest.mark.slow
def test_colour_alone_does_not_solve_it() -> None:
    def pairs(split: str, count: int) -> list[Pair]:
        return [(s.image, s.labels) for s in scenes(count, split=split)]

    floor = colour_miou(pairs("train", 120), pairs("val", 40), len(CLASSES) + 1)
    assert 10 < floor < 35


def test_colour_classifier_solves_what_colour_tells() -> None:
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 3, (20, 20)).astype(np.uint8)
    image = np.array([[10, 10, 10], [250, 0, 0], [0, 0, 250]], np.uint8)[mask]
    mask[0, 0] = VOID
    assert colour_miou([(image, mask)], [(image, mask)], 3) == pytest.approx(100)
    wrong = np.roll(image, 1, axis=2)
    assert colour_miou([(image, mask)], [(wrong, mask)], 3) < 50
