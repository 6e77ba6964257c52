"""Every case, from its build to its rows, at tiny sizes: what is measured still exists."""

import importlib
from typing import Any

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks.limits import Rates
from benchmarks.run import run_case

CPU = torch.device("cpu")
RATES = Rates(1, {(p, 1): 1e9 for p in ("float32", "bfloat16")}, {1: 1e9})
TINY: dict[str, dict[str, Any]] = {
    "cam_step": {"SETTINGS": {"cpu": ((224, 1),)}},
    "decoder_step": {"CROP": 128, "BATCH": {"cpu": 1}},
    "loader": {"IMAGES": 8, "HEIGHT": 60, "WIDTH": 80, "WORKERS": (0, 1)},
    "fusion": {"TOKENS": 40, "LAYERS": 2},
    "affinity": {"SETTINGS": ((40, 1.0),), "LAYERS": 2},
    "export": {"HEIGHT": 60, "WIDTH": 80},
    "evaluation": {"HEIGHT": 60, "WIDTH": 80, "WINDOW": 64, "STRIDE": 48, "SHORT_SIDE": 64},
    "crf": {"HEIGHT": 40, "WIDTH": 50},
    "sweep": {"HEIGHT": 40, "WIDTH": 50},
    "metrics": {"HEIGHT": 40, "WIDTH": 50},
    "indexing": {"IMAGES": 40},
    "startup": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("family", command.FAMILIES)
def test_every_case_runs(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measure.LEAST", 1)
    for name, values in TINY.items():
        for constant, value in values.items():
            monkeypatch.setattr(f"benchmarks.{name}.{constant}", value)
    module = importlib.import_module(f"benchmarks.{family}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for case in module.cases(CPU):
            rows, _ = run_case(case, CPU, RATES, share=0.0, traces=None)
            assert rows
            for row in rows:
                assert row.seconds.median > 0
                assert row.of_limit is None or row.of_limit > 0
                assert row.faster is None or row.faster.median > 0
    finally:
        torch.set_num_threads(threads)
