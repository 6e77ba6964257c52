"""Spoiled masks: each noise does what its name says, at the rate that is asked for."""

import numpy as np
import pytest

from scripts.label_noise import (
    NOISES,
    grown,
    missing_objects,
    missing_parts,
    random_regions,
    shrunk,
    wrong_class,
)
from weaktr.labels import VOID, Pixels

CLASSES = 5


def squares() -> Pixels:
    """Two objects of 10 x 10 with a void border between one of them and the background."""
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 10:20] = 1
    labels[10:20, 40:50] = 3
    labels[9, 10:20] = VOID
    return labels


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def area(labels: Pixels, label: int) -> int:
    return int((labels == label).sum())


def test_borders_move_by_whole_pixels() -> None:
    labels = squares()
    assert area(grown(rng(), labels, 1, CLASSES), 3) == 10 * 10 + 4 * 10
    assert area(grown(rng(), labels, 1, CLASSES), 1) == 10 * 10 + 4 * 10  # over the void too
    assert area(shrunk(rng(), labels, 2, CLASSES), 3) == 6 * 6
    assert area(shrunk(rng(), labels, 2, CLASSES), VOID) == 0


def test_the_share_of_objects_is_what_was_asked_for() -> None:
    labels = squares()
    gone, halved, renamed = [], [], []
    for seed in range(300):
        gone.append(area(missing_objects(rng(seed), labels, 0.3, CLASSES), 1) == 0)
        halved.append(area(missing_parts(rng(seed), labels, 0.3, CLASSES), 1) < 100)
        renamed.append((wrong_class(rng(seed), labels, 0.3, CLASSES)[labels == 1] != 1).all())
    for found in (gone, halved, renamed):
        assert np.mean(found) == pytest.approx(0.3, abs=0.08)


def test_parts_are_about_half_and_other_classes_are_real_ones() -> None:
    labels = squares()
    for seed in range(20):
        assert 30 <= area(missing_parts(rng(seed), labels, 1.0, CLASSES), 1) <= 70
        renamed = wrong_class(rng(seed), labels, 1.0, CLASSES)
        assert set(np.unique(renamed)) <= {0, VOID, *range(1, CLASSES + 1)}
        assert area(renamed, 0) == area(labels, 0)
        assert (renamed[labels == 3] != 3).all()


def test_discs_cover_the_share() -> None:
    covered = [
        (random_regions(rng(seed), squares(), 0.3, CLASSES) != squares()).mean()
        for seed in range(20)
    ]
    assert 0.02 < np.mean(covered) < 0.4  # a disc may have the label that was there


@pytest.mark.parametrize("kind", NOISES)
def test_a_higher_rate_spoils_more_and_the_input_stays(kind: str) -> None:
    spoil, rates = NOISES[kind]
    labels = squares()
    few, many = (
        np.mean([(spoil(rng(s), labels, rate, CLASSES) != labels).mean() for s in range(40)])
        for rate in rates
    )
    assert 0 < few < many
    assert np.array_equal(labels, squares())
