"""The script that measures corrected masks, on a tiny run."""

from pathlib import Path

import pytest

from scripts.measure_corrected import measure, table
from scripts.pages import put_table
from weaktr.files import read_json

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("workspace")]


def test_runs_are_added_one_by_one_and_not_repeated(tmp_path: Path) -> None:
    results = tmp_path / "corrected.json"

    def go(most: int | None) -> dict[str, dict[str, dict[str, float]]]:
        found = measure(Path(), tmp_path / "work", results, seeds=[0], counts=[3], most=most)
        assert read_json(results) == found
        runs: dict[str, dict[str, dict[str, float]]] = found["runs"]
        return runs

    assert set(go(1)) == {"none"}
    own = read_json("reports/evaluate/details.json")["mean_iou"]
    assert go(0)["none"]["0"]["miou"] == pytest.approx(own), "seed 0 is the run itself"
    runs = go(None)
    assert set(runs) == {"none", "ranking-3", "random-3"}
    stamp = results.stat().st_mtime_ns
    assert go(None) == runs
    assert results.stat().st_mtime_ns == stamp
    place = tmp_path / "work/seed-0/data/corrected"
    ranking = read_json(tmp_path / "work/seed-0/ranking.json")
    assert {path.stem for path in (place / "ranking-3").iterdir()} == set(ranking[:3])
    assert len(list((place / "random-3").iterdir())) == 3
    text = table(runs, [3, 5])
    assert f"| 3 | {runs['ranking-3']['0']['miou']:.1f} ± 0.0 (" in text
    assert text.endswith("| 5 | not measured | not measured | not measured | not measured |\n")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- corrected -->\nold\n<!-- end of corrected -->\nafter\n")
    put_table(page, "corrected", text)
    assert page.read_text() == (
        f"before\n<!-- corrected -->\n{text}<!-- end of corrected -->\nafter\n"
    )
