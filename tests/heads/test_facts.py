"""Facts of heads whose behaviour is known."""

import pytest
import torch

from tests.heads.planted import GRID, KIND, SELF, UNIFORM, object_mask, planted
from weaktr.heads.facts import head_facts


def test_uniform_self_and_kind() -> None:
    facts = head_facts(planted([[UNIFORM, SELF], [KIND, UNIFORM]], weights=0.7))
    (uniform, own), (kind, again) = facts.entropy
    assert uniform == pytest.approx(1)
    assert uniform == again > kind > own
    assert own == pytest.approx(0, abs=1e-6)
    y, x = torch.meshgrid(*(torch.arange(side) for side in GRID), indexing="ij")
    places = torch.stack([y.flatten(), x.flatten()], dim=1).double()
    apart = torch.cdist(places, places).mean()
    assert facts.distance[0, 0] == pytest.approx(float(apart), abs=1e-4)
    assert facts.distance[0, 1] == pytest.approx(0, abs=1e-5)
    share = object_mask().float().mean()
    expected = torch.tensor([[0, 0], [1 - share, 0]])
    torch.testing.assert_close(facts.class_row, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(facts.affinity, torch.tensor([[0.0, 1], [1, 0]]), rtol=0, atol=1e-5)
    assert (facts.weight == 0.7).all()


def test_without_an_object_there_is_no_lift() -> None:
    flat = planted([[UNIFORM, KIND]])
    flat.coarse.zero_()
    facts = head_facts(flat)
    assert facts.class_row.isnan().all()
    assert facts.affinity.isnan().all()
    assert facts.entropy.isfinite().all()
