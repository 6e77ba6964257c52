"""Tables and map of the clipping measurement."""

from pathlib import Path
from typing import Any

import pytest

from scripts import clipping_tables
from scripts.clipping_runs import CLEAN, PLAIN
from scripts.clipping_tables import draw, starts, table, tables


def test_gains_are_paired_by_seed() -> None:
    def found(miou: float) -> dict[str, float]:
        return {"miou": miou, "labels": 80.0, "final_loss": 0.41, "clipped_objects": 0.1}

    runs = {
        "wrong class 0.2": {
            PLAIN: {"0": found(60), "1": found(70)},
            "under 0.6": {"0": found(61), "1": found(73), "2": found(0)},
            "under 0.3": {"1": found(68)},
        }
    }
    head, _, row = table(runs).splitlines()
    assert head.endswith("| cross-entropy | under 0.6 | under 0.3 |")
    assert row.startswith("| wrong class 0.2 | 80.0 ± 0.0 | 0.41 ± 0.00 | 65.0 ± 7.1 (2) |")
    assert row.endswith("| +2.0 ± 1.4 (2) | -2.0 (1) |")
    assert tables({"photographs": runs}).startswith(
        f"**Photographs**\n\n{table(runs)}\n| start value"
    )


def test_the_map_has_the_tables_of_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(gain: float, loss: str) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        return {CLEAN: {PLAIN: {"0": {"miou": 60.0}}, loss: {"0": {"miou": 60.0 + gain}}}}

    drawn: list[list[Any]] = []
    monkeypatch.setattr(clipping_tables, "draw_map", lambda *given: drawn.append(list(given[2:])))
    draw(Path("map.png"), {"drawings": runs(-2.0, "under 0.3")})
    draw(
        Path("map.png"), {"drawings": runs(-2.0, "under 0.3"), "photographs": runs(1, "under 1.2")}
    )
    (alone, both) = drawn
    assert alone == [["none"], ["under 0.3"], [[-2.0]]]
    assert both[:2] == [["drawings: none", "photographs: none"], ["under 1.2", "under 0.3"]]
    assert str(both[2]) == "[[nan, -2.0], [1.0, nan]]"


def test_gains_are_grouped_by_what_is_seen_without_masks() -> None:
    def found(miou: float, **more: float) -> dict[str, float]:
        return {"miou": miou, "labels": 80.0, "final_loss": 0.5, **more}

    runs = {
        "wrong class 0.2": {
            PLAIN: {"0": found(60), "1": found(70)},
            "under 0.3": {"0": found(60, clipped_objects=0.0)},
            "under 0.6": {
                "0": found(61, clipped_objects=0.4),
                "1": found(60, clipped_objects=0.45),
                "2": found(0),
            },
            "under 1.2": {"1": found(20, clipped_objects=0.8)},
        }
    }
    assert starts(runs).splitlines()[2:] == [
        "| 0 to 0.85 | 1 | +0.0 | +0.0 | +0.0 |",
        "| 1.1 to 1.6 | 2 | -4.5 | -10.0 | +1.0 |",
        "| 1.6 and more | 1 | -50.0 | -50.0 | -50.0 |",
        "",
        "| `clipped_objects` in %, last epoch | runs | median gain | least | most |",
        "|---|---|---|---|---|",
        "| 0 to 1 | 1 | +0.0 | +0.0 | +0.0 |",
        "| 30 to 50 | 2 | -4.5 | -10.0 | +1.0 |",
        "| 50 and more | 1 | -50.0 | -50.0 | -50.0 |",
    ]
