import os
import random
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import Dataset

from tests.training.data_sets import tag_dataset
from weaktr.data.manifest import Manifest
from weaktr.training.sampling import EpochSampler, seeded, training_loader
from weaktr.training.tag_dataset import TagDataset


def batches(
    dataset: TagDataset, workers: int, epoch: int, seed: int = 0
) -> list[list[torch.Tensor]]:
    sampler = EpochSampler(len(dataset), seed=seed)
    sampler.epoch = epoch
    loader = training_loader(dataset, sampler, batch_size=3, workers=workers, pin_memory=False)
    return [list(batch) for batch in loader]


def equal(a: list[list[torch.Tensor]], b: list[list[torch.Tensor]]) -> bool:
    pairs = zip(a, b, strict=True)
    return all(torch.equal(x, y) for m, n in pairs for x, y in zip(m, n, strict=True))


def test_batches_do_not_depend_on_the_number_of_workers(manifest: Manifest) -> None:
    dataset = tag_dataset(manifest)
    alone = batches(dataset, workers=0, epoch=1)
    random.seed(99)
    torch.manual_seed(99)
    assert equal(alone, batches(dataset, workers=2, epoch=1))
    assert len(alone) == 2  # 7 samples, the incomplete batch is dropped


def test_epochs_and_seeds_differ(manifest: Manifest) -> None:
    dataset = tag_dataset(manifest)
    first = batches(dataset, 0, epoch=0)
    assert not equal(first, batches(dataset, 0, epoch=1))
    assert not equal(first, batches(tag_dataset(manifest, seed=1), 0, epoch=0))


def test_a_single_small_batch_is_kept(manifest: Manifest) -> None:
    dataset = tag_dataset(Manifest(manifest.classes, manifest.records[:2]))
    assert [len(batch[0]) for batch in batches(dataset, 0, epoch=0)] == [2]


def test_seeding_leaves_the_global_generators_alone() -> None:
    before = random.getstate(), torch.get_rng_state()
    with seeded(5):
        drawn = random.random(), np.random.rand(), torch.rand(())  # noqa: NPY002
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    with seeded(5):
        assert drawn == (random.random(), np.random.rand(), torch.rand(()))  # noqa: NPY002


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
