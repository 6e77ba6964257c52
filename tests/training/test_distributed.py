"""Several processes take the steps of one: real processes, real gloo, tiny networks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from tests.processes import in_processes
from tests.training.noise import Noise, checkpoint_in
from weaktr import distributed
from weaktr.errors import UserError
from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy
from weaktr.training.loop import train
from weaktr.training.sampling import sample_seed
from weaktr.training.schedules import CosineSchedule
from weaktr.training.settings import TrainingSettings
from weaktr.training.tag_losses import cam_losses

CLASSES, SIDE = 4, 10
State = dict[str, Tensor]
Curves = list[dict[str, float]]


class NoiseMaps(Dataset[tuple[Tensor, Tensor]]):
    """Images `[3, 10, 10]` with label maps: some void pixels, and one image of nothing else."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(sample_seed(*key))
        x = torch.randn(3, SIDE, SIDE, generator=generator)
        target = x[0].gt(0).long() + 2 * x[1].gt(0).long()
        target[torch.rand(SIDE, SIDE, generator=generator) < 0.2] = 255
        return x, torch.full_like(target, 255) if key[1] == 3 else target


class NoiseTags(Dataset[tuple[Tensor, Tensor]]):
    """Vectors `[8]` with tags `[4]`."""

    def __init__(self, length: int = 11) -> None:
        self.noise = Noise(length)

    def __len__(self) -> int:
        return len(self.noise)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        x, _ = self.noise[key]
        return x, x[:CLASSES].gt(0).float()


class ThreeHeads(nn.Module):
    """Logits as the CAM network gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(8, CLASSES) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(head(x) for head in self.heads)


def run(
    model: nn.Module,
    dataset: Dataset[tuple[Tensor, Tensor]],
    loss: Any,
    checkpoint: Path | None = None,
    stop_after: int | None = None,
    **settings: Any,
) -> tuple[Curves, State]:
    """Curves and final weights; stopped early, the checkpoint is what is left."""

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        if stop_after is not None and epoch > stop_after:
            raise InterruptedError

    curves: Curves = []
    try:
        curves = train(
            model,
            dataset,
            loss,
            torch.optim.AdamW(model.parameters(), lr=1.0),
            lambda steps: CosineSchedule(base_lr=0.05, epochs=3, steps_per_epoch=steps),
            TrainingSettings(**{"epochs": 3, "batch_size": 5, "seed": 3, **settings}),
            checkpoint=None if checkpoint is None else checkpoint_in(checkpoint),
            on_epoch=on_epoch,
        )
    except InterruptedError:
        distributed.wait_for_all()
    return curves, model.state_dict()


def on_tags(samples: int = 11, **settings: Any) -> tuple[Curves, State]:
    torch.manual_seed(0)
    model = ThreeHeads()
    return run(model, NoiseTags(samples), lambda x, y: cam_losses(x, y).named(), **settings)


def on_maps(region_means: Any = "batch", void: Any = "ignore", **settings: Any) -> Any:
    torch.manual_seed(0)
    model = nn.Conv2d(3, CLASSES, kernel_size=3, padding=1)
    criterion = ClippedCrossEntropy(
        start_value=1.4, region=4, region_means=region_means, void_in_mean=void
    )
    return run(model, NoiseMaps(), criterion.with_shares, **settings)


def both(**settings: Any) -> list[tuple[Curves, State]]:
    """All kinds of training, one after the other."""
    return [
        on_tags(**settings),
        on_tags(samples=3, **settings),
        on_maps(**settings),
        on_maps("image", "zero", **settings),
        on_maps(accumulate=2, **settings),
    ]


def assert_close(found: tuple[Curves, State], expected: tuple[Curves, State]) -> None:
    for mine, one in zip(found[0], expected[0], strict=True):
        assert mine == pytest.approx(one, rel=1e-5, abs=1e-6)
    for name, tensor in expected[1].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_take_the_steps_of_one(processes: int) -> None:
    """Uneven shares of a batch, a batch that is the only one, void pixels, clipping."""
    found = in_processes(processes, both)
    for mine, one in zip(found[0], both(), strict=True):
        assert_close(mine, one)
    for others in found[1:]:  # to the bit
        for (curves, weights), (mine, own) in zip(others, found[0], strict=True):
            assert curves == mine
            assert all(torch.equal(weights[name], own[name]) for name in own)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_training_is_resumed_by_another_number_of_processes(
    tmp_path: Path, before: int, after: int
) -> None:
    def times(count: int, **settings: Any) -> tuple[Curves, State]:
        if count == 1:
            return on_maps(checkpoint=tmp_path, **settings)
        return in_processes(count, stop_on_maps if settings else resume_on_maps, tmp_path)[0]

    times(before, stop_after=1)
    assert checkpoint_in(tmp_path).files()
    assert_close(times(after), on_maps())


def stop_on_maps(folder: Path) -> None:
    on_maps(checkpoint=folder, stop_after=1)


def resume_on_maps(folder: Path) -> tuple[Curves, State]:
    return on_maps(checkpoint=folder)


def with_dropout() -> tuple[Curves, State, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 1))
    seen: list[Tensor] = []
    model[1].register_forward_hook(lambda *args: seen.append(args[-1][:1].eq(0)))
    curves, weights = run(
        model,
        Noise(),
        lambda x, y: {"loss": distributed.batch_share(len(x)) * (x - y).square().mean()},
    )
    return curves, weights, seen[0]


@pytest.mark.slow
def test_dropout_is_drawn_by_each_process_and_the_same_in_the_next_run() -> None:
    (first, again), (second, _) = in_processes(2, with_dropout_twice)
    assert not torch.equal(first[2], second[2])
    assert first[0] == again[0]
    assert all(torch.equal(first[1][name], again[1][name]) for name in first[1])


def with_dropout_twice() -> list[tuple[Curves, State, Tensor]]:
    return [with_dropout(), with_dropout()]


def messages() -> list[str]:
    """What is said where there are more processes than samples, or another checkpoint."""
    said = []
    for settings in ({"batch_size": 1}, {"samples": 1}):
        with pytest.raises(UserError) as caught:
            on_tags(**settings)
        said.append(str(caught.value))
    return said


@pytest.mark.slow
def test_more_processes_than_samples_are_refused() -> None:
    for said in in_processes(2, messages):
        for sentence in said:
            assert sentence.startswith("a batch of 1 images cannot be shared by 2 processes;")


def shares() -> tuple[list[int], list[int], list[int], str, int]:
    own = distributed.share(range(7))
    whole = distributed.gather_shares([10 * i for i in own])
    rank = distributed.rank()
    total = distributed.all_sum(torch.tensor([1, rank])).tolist()
    return list(own), whole, total, distributed.from_first(f"of {rank}"), rank


@pytest.mark.slow
def test_shares_come_back_in_order() -> None:
    whole = [0, 10, 20, 30, 40, 50, 60]
    assert in_processes(3, shares) == [
        ([0, 3, 6], whole, [3, 3], "of 0", 0),
        ([1, 4], whole, [3, 3], "of 0", 1),
        ([2, 5], whole, [3, 3], "of 0", 2),
    ]


def test_one_process_is_all_there_is() -> None:
    assert shares() == ([*range(7)], [0, 10, 20, 30, 40, 50, 60], [1, 0], "of 0", 0)
    with distributed.process_group():
        assert distributed.is_first()
        assert distributed.fails_first()
