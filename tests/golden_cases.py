"""Golden vectors: what the published implementation computes (tests/goldens/index.json)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

GOLDENS = Path(__file__).parent / "goldens"

ERRORS: dict[tuple[str, str], float] = {}
"""Relative error of every tensor compared so far, by case and name."""


@dataclass(frozen=True)
class GoldenCase:
    """One case: its hyper-parameters, its tensors, and the published weights."""

    name: str
    hyper: dict[str, Any]
    tensors: dict[str, Tensor]
    state: dict[str, Tensor]
    tolerances: dict[str, float]

    def error(self, name: str, value: Tensor) -> float:
        """max|a - b| / max|golden|, the measure of every tolerance."""
        golden = self.tensors[name]
        assert value.shape == golden.shape, (name, tuple(value.shape), tuple(golden.shape))
        difference = (value.detach().double() - golden.double()).abs().max()
        error = float(difference / golden.double().abs().max())
        ERRORS[self.name, name] = max(error, ERRORS.get((self.name, name), 0.0))
        return error

    def check(self, name: str, value: Tensor) -> None:
        """Asserts that a value equals the golden one within the case's tolerance."""
        error = self.error(name, value)
        assert error <= self.tolerances[name], f"{self.name}/{name}: {error:.2e}"


@cache
def load_case(name: str) -> GoldenCase:
    """Loads a case by its name in the index."""
    index = json.loads((GOLDENS / "index.json").read_text())
    case = next(case for case in index["cases"] if case["name"] == name)
    content = load_file(GOLDENS / case["file"])
    entries = case["tensors"]
    return GoldenCase(
        name=name,
        hyper=case["hyper"],
        tensors={key: value for key, value in content.items() if not key.startswith("state.")},
        state={k.removeprefix("state."): v for k, v in content.items() if k.startswith("state.")},
        tolerances={
            key: entry["tolerance"]["value"]
            for key, entry in entries.items()
            if "value" in (entry.get("tolerance") or {})
        },
    )
