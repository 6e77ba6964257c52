"""Choices of heads by true masks: one half of the images chooses for the other."""

import numpy as np
import torch

from tests.heads.planted import KIND, SELF, UNIFORM, object_mask, planted
from weaktr.heads.headroom import HeadroomScores
from weaktr.heads.seen import SeenImage
from weaktr.heads.true_masks import POINTS, MapScores, single_head_maps

HEADS = [[UNIFORM, SELF], [KIND, UNIFORM]]
LEFT = (0, 1, 3, 4)


def truth(left: int) -> torch.Tensor:
    """The object's mask at the points that are compared."""
    mask = object_mask(left).to(torch.uint8)
    return mask.repeat_interleave(POINTS, 0).repeat_interleave(POINTS, 1)


def with_a_seed_of_one_patch(left: int) -> SeenImage:
    """The coarse CAM knows a corner of the object only."""
    seen = planted(HEADS, left)
    found = object_mask(left).flatten().nonzero()[0]
    seen.coarse.zero_()
    seen.coarse[0, found] = 1
    return seen


def test_the_affinity_that_follows_the_object_is_best() -> None:
    scores = MapScores(4, 1)
    for index, left in enumerate(LEFT):
        seen = with_a_seed_of_one_patch(left)
        _, propagated = single_head_maps(seen)
        scores.update(propagated, seen.present, seen.grid, truth(left), index % 2)
    quality = scores.of_all()
    assert quality.argmax() == 2
    assert quality[2] > 80 > quality[1] > quality[0]
    assert (scores.of_half(0) > 0).all()


def test_heads_are_chosen_on_the_other_half() -> None:
    good, bad = np.array([[1.0, 2], [9, 0]]), np.array([[9.0, 2], [1, 0]])
    rows = np.stack([good, good])
    affinities = np.stack([good, bad])  # the second half of the images prefers a uniform head
    scores = HeadroomScores(rows, affinities, 1)
    assert scores.counts == (1, 3, 4)
    for half, expected in ((0, [[1.0, 0], [0, 0]]), (1, [[0.0, 0], [1, 0]])):
        assert scores.chosen[half][1][0].tolist() == expected
    for index, left in enumerate(LEFT):
        scores.update(with_a_seed_of_one_patch(left), truth(left), index % 2)
    room = scores.result()
    one_head = scores.scores.of_half(1)[0]
    assert one_head > 80 > scores.scores.of_half(0)[0]
    assert room.miou.shape == (3, 3)
    assert room.miou[-1, -1] == room.mean == room.learned  # equal weights are the mean
    assert room.best_counts[0] == (1, 1)  # best on the second half, where the good head was chosen
    assert room.best[0] == scores.scores.of_half(0)[0]
    assert room.gain[0] == room.best[0] - room.learned_by_half[0]
