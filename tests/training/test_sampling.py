import random

import numpy as np
import torch

from tests.training.data_sets import tag_dataset
from weaktr.data.manifest import Manifest
from weaktr.training.loading import training_loader
from weaktr.training.sampling import EpochSampler, seeded
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
