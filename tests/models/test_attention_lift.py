import pytest
import torch

from weaktr.models.attention_fusion import LiftAttentionFusion
from weaktr.models.attention_lift import (
    affinity_lift,
    class_row_lift,
    measurable,
    objects,
    weights_of,
)


def test_an_object_is_the_upper_half_of_its_cam() -> None:
    coarse = torch.tensor([[0.0, 1.0, 4.0, 3.0], [2.0, 2.0, 2.0, 2.0]])
    inside = objects(coarse)
    assert inside.tolist() == [[False, False, True, True], [False] * 4]
    assert measurable(inside).tolist() == [True, False]


def test_class_rows_are_lifted_by_what_they_hold_beyond_chance() -> None:
    inside = torch.tensor([[True, False, False, False]])
    rows = torch.tensor([[[0.4, 0.0, 0.0, 0.0]], [[0.1, 0.1, 0.1, 0.1]], [[0.0, 0.2, 0.2, 0.2]]])
    assert class_row_lift(rows, inside)[:, 0].tolist() == pytest.approx([0.75, 0.0, -0.25])


def test_an_affinity_is_lifted_by_what_stays_and_not_by_what_all_look_at() -> None:
    inside = torch.tensor([[True, True, False, False]])
    keeps = torch.block_diag(torch.full((2, 2), 0.3), torch.full((2, 2), 0.3))
    one_spot = torch.zeros(4, 4)
    one_spot[:, 0] = 0.9
    flees = keeps.roll(2, dims=1)
    maps = torch.stack([keeps, one_spot, torch.full((4, 4), 0.2), flees])
    assert affinity_lift(maps, inside)[:, 0].tolist() == pytest.approx([1.0, 0.0, 0.0, -1.0])


def test_weights_rise_with_lift_and_equal_heads_weigh_the_same() -> None:
    lift = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    weights = weights_of(lift, 2.0)
    assert weights.flatten().tolist() == sorted(weights.flatten().tolist())
    above = (0.4 - 0.25) / lift.std(correction=0)
    assert weights[1, 1] == pytest.approx(torch.sigmoid(2 * above).item())
    assert weights_of(torch.zeros(2, 2), 2.0).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_the_fusion_is_a_mean_until_it_is_told() -> None:
    fusion = LiftAttentionFusion(layers=3, heads=2)
    pooled = [torch.zeros(4, 0)] * 3
    assert fusion(pooled).tolist() == [[1.0] * 6] * 4
    affinity = torch.arange(6.0).view(3, 2)
    fusion.set_lift(-affinity, affinity)
    assert torch.equal(fusion.rows, weights_of(-affinity, 2.0))
    by_head = fusion(pooled)[0].view(2, 3)  # index head * L + layer
    assert torch.equal(by_head.mT, weights_of(affinity, 2.0))
