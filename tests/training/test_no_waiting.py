"""No step of a training asks the device for a number: a GPU would have to be waited for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training.tiny_trainings import Training, cam_training, decoder_training, take_steps
from weaktr.config.values import Precision

WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal", "unique")
"""Operators whose result the host needs before it can go on."""


class Watcher(TorchDispatchMode):
    """Notes which operators ran that wait, and tensors that were made from Python's numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.by_step: dict[int, list[str]] = {}
        self.step = 0

    def begin(self, step: int) -> None:
        self.step, self.by_step[step] = step, []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(x is not None and x.dtype == torch.bool for x in args[1])
        if by_mask or name == "lift_fresh" or name.startswith(WAITS):
            self.by_step[self.step].append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("training", [cam_training, decoder_training])
def test_no_step_waits(training: Callable[[str], Training], precision: Precision) -> None:
    torch.manual_seed(0)
    trained, watcher = training("cpu"), Watcher()
    with watcher:
        take_steps(trained, precision, 4, watcher.begin)
    del watcher.by_step[1]  # it may make what later ones keep
    assert watcher.by_step == {2: [], 3: [], 4: []}


def test_a_step_that_waits_is_seen() -> None:
    watcher = Watcher()
    watcher.begin(1)
    with watcher:
        x = torch.ones(3) * 2
        x[x > 1].sum().item()
    assert watcher.by_step == {1: ["index", "_local_scalar_dense"]}
