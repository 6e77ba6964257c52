import pytest
import torch
from timm.scheduler import CosineLRScheduler

from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderParams
from weaktr.training.cam_optimization import cam_schedule
from weaktr.training.decoder_optimization import decoder_schedule
from weaktr.training.schedules import CosineSchedule, PolynomialSchedule


def timm_rates(epochs: int, until: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=6e-4)
    scheduler = CosineLRScheduler(
        optimizer, t_initial=epochs, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6
    )
    return [scheduler._get_lr(epoch)[0] for epoch in range(until)]


def test_cosine_equals_timm_at_whole_epochs() -> None:
    schedule = CosineSchedule(
        base_lr=6e-4, epochs=60, steps_per_epoch=7, min_lr=1e-5, warmup_epochs=5, warmup_lr=1e-6
    )
    rates = [schedule.lr_at(7 * epoch) for epoch in range(65)]
    assert rates == pytest.approx(timm_rates(60, 65), rel=1e-12)
    assert rates[5] < schedule.lr_at(7 * 5 - 1) + 1e-4  # between epochs the rate moves
    assert rates[4] < schedule.lr_at(7 * 4 + 3) < rates[5]
    assert schedule.lr_at(30, 0.1) == pytest.approx(0.1 * schedule.lr_at(30))


def test_published_cosine_is_one_epoch_late_and_constant_in_an_epoch() -> None:
    """The published loop: train an epoch, then `scheduler.step(epoch)`."""
    schedule = CosineSchedule(
        base_lr=6e-4,
        epochs=60,
        steps_per_epoch=7,
        min_lr=1e-5,
        warmup_epochs=5,
        warmup_lr=1e-6,
        published=True,
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=6e-4)
    scheduler = CosineLRScheduler(
        optimizer, t_initial=60, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6
    )
    for epoch in range(60):
        rate = optimizer.param_groups[0]["lr"]
        assert [schedule.lr_at(7 * epoch + i) for i in range(7)] == pytest.approx([rate] * 7)
        scheduler.step(epoch)


def test_polynomial_by_hand() -> None:
    schedule = PolynomialSchedule(base_lr=1.0, total_steps=10, power=2.0, min_lr=0.0)
    assert [schedule.lr_at(step) for step in (0, 5, 10, 20)] == [1.0, 0.25, 0.0, 0.0]
    warm = PolynomialSchedule(base_lr=1.0, total_steps=10, power=1.0, min_lr=0.1, warmup_steps=4)
    assert warm.lr_at(0) == pytest.approx(0.1)
    assert warm.lr_at(2) == pytest.approx((0.1 + warm.lr_at(4)) / 2)
    assert warm.lr_at(4) == pytest.approx(0.1 + 0.9 * 0.6)


def test_builders_follow_params() -> None:
    cam = cam_schedule(CamParams(batch_size=64, accumulate=2, lr=6e-4, epochs=20), 3)
    assert cam.base_lr == pytest.approx(6e-4 * 128 / 512)
    assert cam.lr_at(0) == 1e-6
    assert not cam.published
    decoder = decoder_schedule(DecoderParams(epochs=4, schedule="poly_published"), 25)
    assert decoder.total_steps == 100
    assert decoder.published
    assert decoder.lr_at(0) == 1e-4


def test_a_short_training_warms_up_for_half_of_it_at_most() -> None:
    params = DecoderParams(epochs=4, warmup_iterations=30)
    assert decoder_schedule(params, 25).warmup_steps == 30
    assert decoder_schedule(params, 10).warmup_steps == 20


def test_rates_of_a_small_batch_never_rise() -> None:
    schedule = cam_schedule(CamParams(batch_size=8, epochs=10, warmup_epochs=0), 5)
    rates = [schedule.lr_at(step) for step in range(50)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 6e-4 * 8 / 512
