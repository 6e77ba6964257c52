import numpy as np
import pytest
import torch

from oracles import labels as oracle
from tests.pseudo_labels.random_cams import random_image
from weaktr.errors import UserError
from weaktr.pseudo_labels.background import cam_to_label, foreground_limit
from weaktr.pseudo_labels.background_sweep import BackgroundSweep


@pytest.mark.parametrize(
    "thresholds",
    [
        [i / 100 for i in range(20, 80)],
        [0.5],
        [1e-6, 0.9999],
        [0.011, 0.02, 0.30001, 0.3002, 0.97],
    ],
)
def test_sweep_equals_one_label_map_a_threshold(thresholds: list[float]) -> None:
    images = [random_image(seed, count) for seed, count in enumerate((1, 3, 0, 2, 6))]
    sweep = BackgroundSweep(6, thresholds)
    for image in images:
        sweep.update(*image)
    expected = oracle.sweep(images, 6, thresholds)
    np.testing.assert_array_equal(sweep.confusion(), expected)
    miou = [oracle.miou(matrix) for matrix in expected]
    np.testing.assert_allclose(sweep.miou(), miou)
    best = sweep.best()
    assert best.background_score == thresholds[int(np.argmax(miou))]
    assert best.miou == pytest.approx(max(miou))


def test_sweep_is_exact_on_continuous_scores() -> None:
    generator = torch.Generator().manual_seed(3)
    cams = torch.rand(3, 300, 300, generator=generator)
    truth = torch.randint(0, 4, (300, 300), generator=generator).to(torch.uint8)
    sweep = BackgroundSweep(3)
    sweep.update(cams, (0, 1, 2), truth)
    for i in range(0, 60, 7):
        label = cam_to_label(cams, (0, 1, 2), sweep.thresholds[i])
        expected = oracle.confusion(label.numpy(), truth.numpy(), 4)
        np.testing.assert_array_equal(sweep.confusion()[i], expected)


@pytest.mark.parametrize("threshold", [0.2, 0.43, 0.79])
def test_sweep_and_label_agree_at_the_limit(threshold: float) -> None:
    limit = torch.tensor(foreground_limit(threshold))
    just_above = torch.nextafter(limit, torch.tensor(1.0))
    cams = torch.stack([limit, just_above]).view(1, 1, 2)
    assert cam_to_label(cams, (0,), threshold).tolist() == [[0, 1]]
    sweep = BackgroundSweep(1, [threshold])
    sweep.update(cams, (0,), torch.ones(1, 2, dtype=torch.uint8))
    assert sweep.confusion()[0].tolist() == [[0, 0], [1, 1]]


def test_a_sweep_without_images_has_no_miou() -> None:
    assert np.isnan(BackgroundSweep(3).miou()).all()


@pytest.mark.parametrize("thresholds", [[], [0.5, 0.4], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0]])
def test_sweep_refuses_unordered_thresholds(thresholds: list[float]) -> None:
    with pytest.raises(ValueError, match="must ascend"):
        BackgroundSweep(3, thresholds)


def test_sweep_refuses_masks_that_do_not_fit() -> None:
    sweep = BackgroundSweep(3)
    with pytest.raises(UserError, match="label 4"):
        sweep.update(torch.rand(1, 2, 2), (0,), torch.tensor([[0, 4], [1, 255]], dtype=torch.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        sweep.update(torch.rand(1, 2, 2), (0,), torch.zeros(3, 3, dtype=torch.uint8))
