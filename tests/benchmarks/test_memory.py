"""Peak memory of a step."""

import gc

import numpy as np
import pytest
import torch

from benchmarks.memory import peak_mib

CPU = torch.device("cpu")
MIB = 2**18
"""float32 numbers of one MiB."""


def test_tensors_count_while_they_live() -> None:
    kept = torch.zeros(4 * MIB)

    def step() -> None:
        first = kept + 1  # 4 MiB
        second = first[: 2 * MIB] * 2  # 2 more, of a view that costs nothing
        del first
        second.mul_(2)  # in place
        torch.zeros(3 * MIB)  # 2 + 3 are fewer than 4 + 2

    assert peak_mib(step, CPU) == pytest.approx(6, abs=0.01)


def test_the_backward_pass_counts() -> None:
    x = torch.ones(2 * MIB, requires_grad=True)
    assert peak_mib(lambda: (x * x).sum().backward(), CPU) >= 4


def test_the_process_counts_what_no_operator_of_torch_made() -> None:
    def step() -> None:
        array = np.ones(64 * MIB, np.float32)
        array += 1
        del array
        gc.collect()

    assert 60 <= peak_mib(step, CPU, "process") <= 100
