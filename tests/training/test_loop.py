from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderParams
from weaktr.errors import UserError
from weaktr.training.cam_optimization import cam_optimizer
from weaktr.training.checkpoint import Checkpoint
from weaktr.training.decoder_optimization import decoder_optimizer
from weaktr.training.loop import TrainingSettings, train
from weaktr.training.sampling import sample_seed
from weaktr.training.schedules import CosineSchedule


class Noise(Dataset[tuple[Tensor, Tensor]]):
    """Inputs drawn from (epoch, index), as a real data set's augmentation is."""

    def __init__(self, length: int = 12) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(sample_seed(*key))
        x = torch.randn(8, generator=generator)
        return x, x[:1].sign()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 1))


def run(
    model: nn.Module,
    epochs: int = 5,
    checkpoint: Checkpoint | None = None,
    stop_after: int | None = None,
    score: Callable[[nn.Module], float] | None = None,
    **options: object,
) -> list[dict[str, float]]:
    class Stopped(Exception):
        pass

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        if stop_after is not None and epoch > stop_after:
            raise Stopped

    settings: dict[str, object] = {"batch_size": 4, "seed": 3, **options}
    try:
        return train(
            model,
            Noise(),
            lambda output, target: {"loss": (output - target).square().mean()},
            torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.01),
            lambda steps: CosineSchedule(base_lr=0.02, epochs=epochs, steps_per_epoch=steps),
            TrainingSettings(epochs=epochs, **settings),  # type: ignore[arg-type]
            checkpoint=checkpoint,
            score=score,
            on_epoch=on_epoch,
        )
    except Stopped:
        return []


def checkpoint_in(folder: Path, fingerprint: str = "f", every: int = 1) -> Checkpoint:
    return Checkpoint(folder=folder, name="t", fingerprint=fingerprint, every=every)


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


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


def test_a_checkpoint_of_other_settings_is_not_picked_up(tmp_path: Path) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path, "old"), stop_after=2)
    fresh, other = network(), network()
    run(fresh)
    run(other, checkpoint=checkpoint_in(tmp_path, "new"))
    assert same(fresh, other)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, share: float) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path), stop_after=3)
    path = checkpoint_in(tmp_path).path
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="cannot be resumed from; remove it to start afresh"):
        run(network(), checkpoint=checkpoint_in(tmp_path))


def test_a_checkpoint_of_another_network_is_one_sentence(tmp_path: Path) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path), stop_after=3)
    with pytest.raises(UserError, match="cannot be resumed from.*weight"):
        run(nn.Linear(8, 1), checkpoint=checkpoint_in(tmp_path))


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
        model[0].weight.fill_(float("nan"))
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


def test_every_parameter_is_optimised_and_the_encoder_slower() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(2, 3), "decoder": nn.Linear(3, 4)})
    for kind in ("sgd", "adamw"):
        groups = decoder_optimizer(model, DecoderParams(optimizer=kind)).param_groups
        assert [group["lr_scale"] for group in groups] == [0.1, 1.0]
        assert [sum(p.numel() for p in group["params"]) for group in groups] == [9, 16]


def test_momentum_is_nesterovs_where_there_is_any() -> None:
    model = nn.Linear(2, 3)
    for momentum in (0.9, 0.0):
        optimizer = decoder_optimizer(model, DecoderParams(momentum=momentum))
        assert [group["nesterov"] for group in optimizer.param_groups] == [momentum > 0] * 2


def test_the_pretrained_blocks_of_the_cam_network_can_learn_slower() -> None:
    model = nn.ModuleDict({"backbone": nn.ModuleDict({"blocks": nn.Linear(2, 3)})})
    model["head"] = nn.Linear(3, 4)
    groups = cam_optimizer(model, CamParams(backbone_lr_scale=0.2)).param_groups
    assert [group["lr_scale"] for group in groups] == [0.2, 1.0]
    assert [sum(p.numel() for p in group["params"]) for group in groups] == [9, 16]
    assert [group["weight_decay"] for group in groups] == [0.03, 0.03]
