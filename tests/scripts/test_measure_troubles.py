"""The bench of troubles: which experiments are its own, and what is told of them."""

from pathlib import Path
from typing import Any

import pytest

from scripts import measure_troubles
from scripts.measure_troubles import PLAIN, STEPS, bench, collect, draw, in_order, table
from tests.conftest import REPOSITORY


def experiment(values: dict[str, Any], **more: object) -> dict[str, Any]:
    """As `dvc.api.exp_show` gives it."""
    shown = {k: v if type(v) in (int, float) else str(v) for k, v in values.items()}
    return shown | more


def finished(values: dict[str, Any], seed: int, miou: float) -> dict[str, Any]:
    return experiment(values, **dict.fromkeys(STEPS, miou), seed=float(seed), State="Success")


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    monkeypatch.chdir(REPOSITORY)
    return bench()


def test_experiments_are_told_apart_by_their_params(recipes: dict[str, dict[str, Any]]) -> None:
    plain, crowds = recipes[PLAIN], recipes["crowds"]
    shown = [
        finished(plain, 0, 70.0),
        finished(plain, 1, 72.0),
        finished(crowds, 0, 50.0),
        finished(plain | {"cam.epochs": 3}, 0, 99.0),  # somebody's own experiment
        experiment(recipes["context"], **dict.fromkeys(STEPS), seed=0.0, State="Queued"),
        finished(recipes["context"], 1, 83.8) | {"State": "Running"},  # the workspace's metrics
        finished(recipes["context"], 2, 83.8) | {"State": "Failed"},
        dict.fromkeys(STEPS, 1.0) | {"seed": 0.0},  # of a commit that knew no troubles
    ]
    found = collect(shown, recipes)
    assert {name: sorted(seeds) for name, seeds in found.items()} == {
        PLAIN: ["0", "1"],
        "crowds": ["0"],
    }
    assert found[PLAIN]["1"]["miou_val"] == 72.0


def test_table_and_picture(recipes: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    shown = [
        finished(recipes[name], seed, 70.0 - 9 * row + seed)
        for row, name in enumerate((PLAIN, "crowds", "context"))
        for seed in (0, 1, 2)
    ]
    found = collect(shown, recipes)
    assert in_order(found) == [PLAIN, "context", "crowds"]
    lines = table(found).splitlines()
    assert len(lines) == 5
    assert "| none | 3 | 71.0 ± 1.0 |" in lines[2]
    del found["crowds"]["1"], found["crowds"]["2"]
    assert table(found).splitlines()[4].startswith("| crowds | 1 | 61.0 | ")
    draw(tmp_path / "troubles.png", found)
    assert (tmp_path / "troubles.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_written_without_experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_troubles, "NUMBERS", tmp_path / "none.json")
    monkeypatch.setattr("dvc.api.exp_show", lambda repo, num: [])
    with pytest.raises(SystemExit, match=r"No finished experiments"):
        measure_troubles.main([])
    assert not list(tmp_path.iterdir())
