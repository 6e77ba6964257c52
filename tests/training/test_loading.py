import os
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest
import torch
from torch.utils.data import Dataset

from tests.training.noise import Noise, network
from weaktr.training.loading import Batch, WaitClock, training_loader, waiting_in_words
from weaktr.training.loop import train
from weaktr.training.sampling import EpochSampler
from weaktr.training.schedules import CosineSchedule
from weaktr.training.settings import TrainingSettings


class Slow(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The process that loads, and the time that it takes."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        time.sleep(0.1)
        return torch.tensor(os.getpid()), torch.zeros(())


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="needs Linux")
def test_a_stop_that_reaches_every_process_leaves_the_loaders_to_the_training() -> None:
    """SLURM sends SIGTERM to all of them; the step under way still needs its batch."""
    sampler = EpochSampler(8, seed=0)
    loader = training_loader(Slow(), sampler, batch_size=2, workers=1, pin_memory=False)
    batches = iter(loader)
    pid = int(next(batches)[0][0])
    for number in (signal.SIGTERM, signal.SIGINT):
        # From another process: the loader's own parent may end it.
        subprocess.run(["kill", f"-{number.value}", str(pid)], check=True)
    assert [int(found[0]) for found, _ in batches] == [pid] * 3
    worker = psutil.Process(pid)
    worker.terminate()
    worker.wait(10)


def batches(seconds: float) -> Iterator[Batch]:
    for _ in range(4):
        time.sleep(seconds)
        yield torch.zeros(1), torch.zeros(1)


@pytest.mark.parametrize(("loading", "training"), [(0.03, 0.01), (0.0, 0.02)])
def test_the_share_of_time_that_is_spent_waiting(loading: float, training: float) -> None:
    clock = WaitClock()
    for _ in clock.watch(batches(loading)):
        time.sleep(training)
    assert clock.share == pytest.approx(loading / (loading + training), abs=0.2)


def test_nothing_is_known_from_one_batch() -> None:
    clock = WaitClock()
    assert clock.share == 0
    next(clock.watch(batches(0.01)))
    assert clock.share == 0


def test_a_long_wait_is_said_with_what_to_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaktr.training.loading.threads_of_process", lambda count: 8)

    def said(share: float, workers: int) -> str:
        sampler = EpochSampler(12, seed=0)
        loader = training_loader(Noise(), sampler, batch_size=4, workers=workers, pin_memory=False)
        return waiting_in_words(share, loader)

    assert said(0.19, 0) == ""
    assert said(0.43, 2).endswith(
        "43% of its first epoch; runtime.workers above 2 may help (8 CPU cores are there)"
    )
    assert said(0.43, 7).endswith(
        "all CPU cores are at it: images stored at a smaller size load faster"
    )


class SlowNoise(Noise):
    def __getitem__(self, key: tuple[int, int]) -> Batch:
        time.sleep(0.005)
        return super().__getitem__(key)


@pytest.mark.parametrize(("dataset", "lines"), [(SlowNoise(), 1), (Noise(), 0)])
def test_it_is_said_once(dataset: Noise, lines: int) -> None:
    model, said = network(), list[str]()

    def loss(output: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        if not isinstance(dataset, SlowNoise):
            time.sleep(0.01)
        return {"loss": (output - target).square().mean()}

    train(
        model,
        dataset,
        loss,
        torch.optim.SGD(model.parameters(), lr=0.1),
        lambda steps: CosineSchedule(base_lr=0.02, epochs=3, steps_per_epoch=steps),
        TrainingSettings(epochs=3, batch_size=4),
        say=said.append,
    )
    assert len(said) == lines
