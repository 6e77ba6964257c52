"""Shared fixtures."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """One thread a test process: the suite runs several of them side by side."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def voc_animals() -> Path:
    """Folder with real PASCAL VOC images, where a developer has one (never in the project)."""
    candidates = [
        os.environ.get("WEAKTR_VOC_ANIMALS"),
        REPOSITORY.parent / "shared" / "voc-animals",
    ]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no voc-animals folder: set WEAKTR_VOC_ANIMALS to run this on real photographs")
