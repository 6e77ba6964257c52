import pytest
import torch
from timm.scheduler import CosineLRScheduler

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
