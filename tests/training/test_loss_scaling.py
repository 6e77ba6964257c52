"""float16: steps whose gradients overflow are left out, and the scale goes on after a stop."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.noise import Noise, checkpoint_in, network, run, same
from weaktr.errors import UserError
from weaktr.training.loop import train
from weaktr.training.schedules import CosineSchedule
from weaktr.training.settings import TrainingSettings


class Overflow(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * float("inf")


def overflowing(
    model: nn.Module,
    steps: set[int],
    epochs: int = 2,
    folder: Path | None = None,
    killed_in_step: int | None = None,
) -> list[list[Tensor]]:
    """Trains with gradients that overflow in some steps; the weights that each step began with."""
    before: list[list[Tensor]] = []

    def loss(output: Tensor, target: Tensor) -> dict[str, Tensor]:
        before.append([p.detach().clone() for p in model.parameters()])
        if len(before) - 1 == killed_in_step:
            raise InterruptedError
        value = (output.float() - target).square().mean() / 100
        return {"loss": Overflow.apply(value) if len(before) - 1 in steps else value}

    train(
        model,
        Noise(),
        loss,
        torch.optim.AdamW(model.parameters(), lr=1.0, fused=True),
        lambda steps: CosineSchedule(base_lr=0.02, epochs=epochs, steps_per_epoch=steps),
        TrainingSettings(epochs=epochs, batch_size=4, precision="float16"),
        checkpoint=checkpoint_in(folder) if folder else None,
    )
    return before


def test_a_step_whose_gradients_overflow_changes_nothing_and_is_no_error() -> None:
    before = overflowing(network(), {1, 3})
    moved = [
        not all(torch.equal(x, y) for x, y in zip(before[i], before[i + 1], strict=True))
        for i in range(5)
    ]
    assert moved == [True, False, True, False, True]


def test_gradients_that_overflow_whatever_the_scale_end_the_training() -> None:
    with pytest.raises(UserError, match="gradients overflow float16 at every step.*bfloat16"):
        overflowing(network(), set(range(90)), epochs=30)


def test_a_loss_that_is_not_finite_ends_it_at_its_step() -> None:
    model = network()

    def spoil(step: int) -> None:
        if step == 4:
            with torch.no_grad():
                next(model.parameters()).fill_(float("inf"))

    with pytest.raises(UserError, match="step 3 of epoch 2"):
        run(model, precision="float16", on_step=spoil)


def test_a_stopped_one_goes_on_with_its_scale_to_the_same_bits(tmp_path: Path) -> None:
    whole, part, resumed = network(), network(), network()
    overflowing(whole, {0}, folder=tmp_path / "whole")
    with pytest.raises(InterruptedError):
        overflowing(part, {0}, folder=tmp_path / "part", killed_in_step=2)
    overflowing(resumed, set(), folder=tmp_path / "part")
    assert same(resumed, whole)
    ends = [
        torch.load(checkpoint_in(tmp_path / name).files()[0])["progress"]["scaling"]
        for name in ("whole", "part")
    ]
    assert ends[0] == ends[1]
    assert ends[0]["scale"] == 32768
