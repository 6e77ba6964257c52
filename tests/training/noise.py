"""A training on noise that takes milliseconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from weaktr.training.checkpoint import Checkpoint
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


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 1))


def run(
    model: nn.Module,
    epochs: int = 5,
    checkpoint: Checkpoint | None = None,
    stop_after: int | None = None,
    score: Callable[[nn.Module], float] | None = None,
    **options: Any,
) -> list[dict[str, float]]:
    class Stopped(Exception):
        pass

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        if stop_after is not None and epoch > stop_after:
            raise Stopped

    settings: dict[str, Any] = {"batch_size": 4, "seed": 3, **options}
    try:
        return train(
            model,
            Noise(),
            lambda output, target: {"loss": (output - target).square().mean()},
            torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.01),
            lambda steps: CosineSchedule(base_lr=0.02, epochs=epochs, steps_per_epoch=steps),
            TrainingSettings(epochs=epochs, **settings),
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
