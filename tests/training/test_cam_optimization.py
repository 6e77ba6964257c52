import pytest
from torch import nn

from weaktr.config.cam import CamParams
from weaktr.training.cam_optimization import cam_optimizer, cam_schedule


def test_the_pretrained_blocks_of_the_cam_network_can_learn_slower() -> None:
    model = nn.ModuleDict({"backbone": nn.ModuleDict({"blocks": nn.Linear(2, 3)})})
    model["head"] = nn.Linear(3, 4)
    groups = cam_optimizer(model, CamParams(backbone_lr_scale=0.2)).param_groups
    assert [group["lr_scale"] for group in groups] == [0.2, 1.0, 1.0]
    assert [sum(p.numel() for p in group["params"]) for group in groups] == [9, 0, 16]
    assert [group["weight_decay"] for group in groups] == [0.03, 0.03, 0.03]


def test_the_fusion_has_a_rate_decay_and_epsilon_of_its_own() -> None:
    model = nn.ModuleDict({"fusion": nn.Linear(2, 3), "head": nn.Linear(3, 4)})
    own = CamParams(fusion_lr_scale=10, fusion_weight_decay=0, fusion_eps=1e-12)
    _, fusion, others = cam_optimizer(model, own).param_groups
    assert sum(p.numel() for p in fusion["params"]) == 9
    values = [(x["lr_scale"], x["weight_decay"], x["eps"]) for x in (fusion, others)]
    assert values == [(10, 0, 1e-12), (1, 0.03, 1e-8)]


def test_the_schedule_follows_params() -> None:
    cam = cam_schedule(CamParams(batch_size=64, accumulate=2, lr=6e-4, epochs=20), 3)
    assert cam.base_lr == pytest.approx(6e-4 * 128 / 512)
    assert cam.lr_at(0) == 1e-6
    assert not cam.published


def test_rates_of_a_small_batch_never_rise() -> None:
    schedule = cam_schedule(CamParams(batch_size=8, epochs=10, warmup_epochs=0), 5)
    rates = [schedule.lr_at(step) for step in range(50)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 6e-4 * 8 / 512
