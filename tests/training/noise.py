"""A training on noise that takes milliseconds."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from weaktr.stopping import Stop
from weaktr.training.checkpoint import Checkpoint
from weaktr.training.loop import train
from weaktr.training.sampling import sample_seed
from weaktr.training.schedules import CosineSchedule
from weaktr.training.settings import TrainingSettings


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


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 1))


def run(
    model: nn.Module,
    epochs: int = 5,
    checkpoint: Checkpoint | None = None,
    killed_in_step: int | None = None,
    score: Callable[[nn.Module], float] | None = None,
    stop: Stop | None = None,
    rate: float = 0.02,
    on_step: Callable[[int], None] = lambda step: None,
    **options: Any,
) -> list[dict[str, float]]:
    """Trains; killed in a step, it leaves only what it has saved."""

    class Killed(Exception):
        pass

    steps = itertools.count()

    def loss(output: Tensor, target: Tensor) -> dict[str, Tensor]:
        step = next(steps)
        if step == killed_in_step:
            raise Killed
        on_step(step)
        return {"loss": (output - target).square().mean()}

    def gradient_facts() -> dict[str, Tensor]:
        gradients = [p.grad.abs().mean() for p in model.parameters() if p.grad is not None]
        return {"gradient": torch.stack(gradients).mean()}

    settings: dict[str, Any] = {"batch_size": 4, "seed": 3, **options}
    try:
        return train(
            model,
            Noise(),
            loss,
            torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.01),
            lambda steps: CosineSchedule(base_lr=rate, epochs=epochs, steps_per_epoch=steps),
            TrainingSettings(epochs=epochs, **settings),
            checkpoint=checkpoint,
            score=score,
            stop=stop,
            gradient_facts=gradient_facts,
        )
    except Killed:
        return []


def checkpoint_in(
    folder: Path, fingerprint: str = "f", said: list[str] | None = None
) -> Checkpoint:
    """One that saves after every step."""
    say = print if said is None else said.append
    return Checkpoint(folder=folder, name="t", fingerprint=fingerprint, minutes=0, say=say)


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)
