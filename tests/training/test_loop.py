import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.noise import Noise, checkpoint_in, network, run, same
from weaktr.errors import UserError
from weaktr.stopping import Stop, Stopped
from weaktr.training.loop import train
from weaktr.training.loss_watch import LossWatch
from weaktr.training.sampling import EpochSampler
from weaktr.training.schedules import CosineSchedule
from weaktr.training.settings import TrainingSettings


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("killed_in_step", [1, 2, 3, 7, 9])
def test_a_run_killed_in_any_step_goes_on_to_the_same_bits(
    tmp_path: Path, killed_in_step: int, accumulate: int
) -> None:
    whole = network()
    history = run(whole, epochs=10, accumulate=accumulate)
    part = network()
    options: dict[str, Any] = {"epochs": 10, "accumulate": accumulate}
    run(part, checkpoint=checkpoint_in(tmp_path), killed_in_step=killed_in_step, **options)
    assert not same(part, whole)
    torch.manual_seed(12345)
    resumed = network()
    resumed_history = run(resumed, checkpoint=checkpoint_in(tmp_path), **options)
    assert same(resumed, whole)
    assert resumed_history == history
    assert [values["epoch"] for values in history] == list(range(1, 11))


def test_a_stop_ends_the_step_saves_and_leaves(tmp_path: Path) -> None:
    whole, part = network(), network()
    run(whole)
    stop, said = Stop(), list[str]()
    slow = checkpoint_in(tmp_path, said=said)
    slow.minutes = 60
    with pytest.raises(Stopped, match="143"):
        run(
            part,
            checkpoint=slow,
            stop=stop,
            on_step=lambda step: stop.ask(143) if step == 4 else None,
        )
    assert said == ["t stopped after epoch 1 of 5 and step 2 of 3"]
    assert not same(part, whole)
    resumed = network()
    run(resumed, checkpoint=checkpoint_in(tmp_path))
    assert same(resumed, whole)


def test_the_same_stop_from_two_sides_is_one(tmp_path: Path) -> None:
    """SLURM tells every process of a step, and torch's launcher, which is one, tells its own."""
    stop, slow = Stop(), checkpoint_in(tmp_path)
    slow.minutes = 60

    def twice(step: int) -> None:
        stop.ask(143)
        stop.ask(143)

    with pytest.raises(Stopped, match="143"):
        run(network(), checkpoint=slow, stop=stop, on_step=twice)
    stop.ask(143)  # while MLflow's run is closed
    assert len(slow.files()) == 1


def test_a_stop_that_could_not_be_saved_says_so(tmp_path: Path) -> None:
    stop, said = Stop(), list[str]()
    checkpoint = checkpoint_in(tmp_path / "folder", said=said)

    def gone(step: int) -> None:
        if step == 4:
            shutil.rmtree(tmp_path / "folder")
            (tmp_path / "folder").write_text("")
            stop.ask(143)

    with pytest.raises(Stopped):
        run(network(), checkpoint=checkpoint, stop=stop, on_step=gone)
    assert said[-1].endswith("epoch 1 of 5 and step 2 of 3; no checkpoint of it could be written")


def test_asked_again_it_leaves_at_once(tmp_path: Path) -> None:
    stop, slow = Stop(apart=0), checkpoint_in(tmp_path)
    slow.minutes = 60

    def twice(step: int) -> None:
        stop.ask(130)
        stop.ask(130)

    with pytest.raises(SystemExit, match="130") as caught:
        run(network(), checkpoint=slow, stop=stop, on_step=twice)
    assert not isinstance(caught.value, Stopped)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_written_when_it_is_asked_for(tmp_path: Path) -> None:
    stop, slow = Stop(), checkpoint_in(tmp_path)
    slow.minutes = 60
    seen: list[int] = []

    def ask(step: int) -> None:
        stop.wants_save |= step == 3
        seen.append(len(list(tmp_path.iterdir())))

    run(network(), checkpoint=slow, stop=stop, on_step=ask)
    assert seen[:5] == [0, 0, 0, 0, 1]
    assert not stop.wants_save


def test_the_best_epoch_wins_and_is_not_lost_by_resuming(tmp_path: Path) -> None:
    scores = iter([1.0, 9.0, 2.0, 3.0, 4.0])
    kept = {}

    def score(model: nn.Module) -> float:
        assert not model.training
        value = next(scores)
        kept[value] = {k: v.clone() for k, v in model.state_dict().items()}
        return value

    run(network(), checkpoint=checkpoint_in(tmp_path), killed_in_step=7, score=score)
    scores = iter([2.0, 3.0, 4.0])
    model = network()
    history = run(model, checkpoint=checkpoint_in(tmp_path), score=score)
    assert [values["score"] for values in history] == [1.0, 9.0, 2.0, 3.0, 4.0]
    assert all(torch.equal(v, kept[9.0][k]) for k, v in model.state_dict().items())


def test_stopped_while_an_epoch_is_scored_its_steps_are_kept(tmp_path: Path) -> None:
    stop, slow = Stop(), checkpoint_in(tmp_path)
    slow.minutes = 60

    def score(model: nn.Module) -> float:
        stop.ask(129)
        return 0.0

    with pytest.raises(Stopped, match="129"):
        run(network(), checkpoint=slow, stop=stop, score=score)
    whole, resumed = network(), network()
    history = run(whole, score=lambda model: 0.0)
    again = run(resumed, checkpoint=checkpoint_in(tmp_path), score=lambda model: 0.0)
    assert again == history
    assert same(resumed, whole)


def test_accumulated_batches_make_the_step_of_a_large_one() -> None:
    """Without dropout, two batches of 4 must give the step of one batch of 8."""
    large, small = network(), network()
    for model in (large, small):
        model[2] = nn.Identity()
    run(large, epochs=1, batch_size=6)
    run(small, epochs=1, batch_size=3, accumulate=2)
    for a, b in zip(large.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_what_is_seen_of_gradients_is_that_of_the_whole_step() -> None:
    found = []
    for batch_size, accumulate in ((12, 1), (6, 2), (4, 3)):
        model = nn.Linear(8, 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        (values,) = run(model, epochs=1, batch_size=batch_size, accumulate=accumulate)
        found.append(values["gradient"])
    assert found[0] > 0
    assert found[1:] == pytest.approx([found[0]] * 2)


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


def test_a_loss_that_is_not_finite_is_named_at_its_step(tmp_path: Path) -> None:
    stop, slow = Stop(), checkpoint_in(tmp_path)
    slow.minutes = 60
    model = network()

    def spoil(step: int) -> None:
        stop.wants_save = step == 3
        if step == 4:
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))

    with pytest.raises(UserError) as caught:
        run(model, checkpoint=slow, stop=stop, on_step=spoil)
    order = EpochSampler(12, seed=3).order(1)
    samples = ", ".join(map(str, order[8:]))
    assert f"step 3 of epoch 2, learning rate 0.015, samples {samples}; lower" in str(caught.value)
    assert checkpoint_in(tmp_path).files()[0].name.startswith("t-f-e00001-s00000001")


def test_what_the_last_step_did_is_looked_at() -> None:
    """Weights may still be finite, and the network's output not."""
    with pytest.raises(UserError, match="the loss after the last step is (nan|inf)"):
        run(network(), epochs=1, batch_size=12, rate=1e30)


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UserError, match="the score of epoch 1 is nan"):
        run(network(), score=lambda model: float("nan"))


def test_a_device_that_is_asked_seldom_keeps_the_first_bad_step() -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    watch = LossWatch(every=50, describe=lambda step: f"step {step}", scaler=scaler)
    for step, value in enumerate([1.0, 2.0, float("inf"), float("nan"), 1.0], start=1):
        watch.see(step, torch.tensor(value))
    with pytest.raises(UserError, match="any more: step 3; lower"):
        watch.check()


def test_workers_do_not_change_the_result() -> None:
    alone, helped = network(), network()
    run(alone, epochs=2)
    run(helped, epochs=2, workers=2)
    assert same(alone, helped)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_16_bits_train(precision: str) -> None:
    model = network()
    history = run(model, precision=precision)
    assert history[-1]["loss"] < history[0]["loss"]
