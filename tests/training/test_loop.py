from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.noise import Noise, checkpoint_in, network, run, same
from weaktr.errors import UserError
from weaktr.training.loop import TrainingSettings, train
from weaktr.training.schedules import CosineSchedule


@pytest.mark.parametrize("every", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, every: int) -> None:
    whole = network()
    history = run(whole)
    part = network()
    run(part, checkpoint=checkpoint_in(tmp_path, every=every), stop_after=2)
    assert not same(part, whole)
    torch.manual_seed(12345)
    resumed = network()
    resumed_history = run(resumed, checkpoint=checkpoint_in(tmp_path, every=every))
    assert same(resumed, whole)
    assert resumed_history == history
    assert [values["epoch"] for values in history] == [1, 2, 3, 4, 5]


def test_the_best_epoch_wins_and_is_not_lost_by_resuming(tmp_path: Path) -> None:
    scores = iter([1.0, 9.0, 2.0, 3.0, 4.0])
    kept = {}

    def score(model: nn.Module) -> float:
        assert not model.training
        value = next(scores)
        kept[value] = {k: v.clone() for k, v in model.state_dict().items()}
        return value

    run(network(), checkpoint=checkpoint_in(tmp_path), stop_after=2, score=score)
    scores = iter([2.0, 3.0, 4.0])
    model = network()
    history = run(model, checkpoint=checkpoint_in(tmp_path), score=score)
    assert [values["score"] for values in history] == [1.0, 9.0, 2.0, 3.0, 4.0]
    assert all(torch.equal(v, kept[9.0][k]) for k, v in model.state_dict().items())


def test_accumulated_batches_make_the_step_of_a_large_one() -> None:
    """Without dropout, two batches of 4 must give the step of one batch of 8."""
    large, small = network(), network()
    for model in (large, small):
        model[2] = nn.Identity()
    run(large, epochs=1, batch_size=6)
    run(small, epochs=1, batch_size=3, accumulate=2)
    for a, b in zip(large.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_more_accumulation_than_batches_still_makes_a_step() -> None:
    model, untouched = network(), network()
    run(model, epochs=1, accumulate=100)
    assert not same(model, untouched)


def test_rates_follow_the_schedule_and_group_scales() -> None:
    model = network()
    optimizer = torch.optim.SGD(
        [
            {"params": model[0].parameters(), "lr_scale": 0.1},
            {"params": model[3].parameters(), "lr_scale": 1.0},
        ],
        lr=1.0,
    )
    schedule = CosineSchedule(base_lr=0.02, epochs=4, steps_per_epoch=3)
    train(
        model,
        Noise(),
        lambda output, target: {"loss": (output - target).square().mean()},
        optimizer,
        lambda steps: schedule,
        TrainingSettings(epochs=2, batch_size=4),
    )
    last_step = 5
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == [schedule.lr_at(last_step, 0.1), schedule.lr_at(last_step, 1.0)]


def test_a_loss_that_is_not_finite_is_one_sentence() -> None:
    model = network()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="the loss became nan in epoch 1; lower the learning rate"):
        run(model)


def test_workers_do_not_change_the_result() -> None:
    alone, helped = network(), network()
    run(alone, epochs=2)
    run(helped, epochs=2, workers=2)
    assert same(alone, helped)


def test_bfloat16_trains() -> None:
    model = network()
    history = run(model, precision="bfloat16")
    assert history[-1]["loss"] < history[0]["loss"]
