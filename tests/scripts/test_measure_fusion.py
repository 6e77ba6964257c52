"""The comparison of head weights, on a small project and as a table."""

from pathlib import Path

import pytest

from scripts.measure_fusion import measure, table
from tests.tiny import tiny_params, write_params
from weaktr.errors import UserError

ONE: dict[str, float | None] = {
    "mean": 60.0,
    "learned": 61.0,
    "lift": 63.0,
    "masks": 65.5,
    "learned, rows": -0.1,
    "learned, affinity": 0.1,
    "lift, rows": 0.4,
    "lift, affinity": 0.8,
}


@pytest.mark.slow
def test_a_project_is_measured(workspace: Path) -> None:
    seed, found = measure(Path())
    assert seed == 0
    assert found.keys() == ONE.keys()
    assert all(0 <= (found[name] or 0) <= 100 for name in ("mean", "learned", "lift"))
    assert all(-1 <= (found[name] or 0) <= 1 for name in found if "," in name)


@pytest.mark.slow
def test_images_without_masks_are_refused(workspace: Path) -> None:
    write_params(workspace, tiny_params())
    Path("data/prepared/masks.csv").write_text("id,mask,digest\n")
    with pytest.raises(UserError, match="two val images with tags and masks are needed"):
        measure(Path())


def test_the_table_pairs_seeds() -> None:
    lines = table({"one": {"0": ONE}, "two": {"0": ONE, "1": ONE | {"lift": 64.0}}}).splitlines()
    one, two = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:])
    assert one == ["one", "1", "60.0", "61.0", "63.0", "+3.0", "+2.0", "+4.5", "+0.00", "+0.60"]
    assert two[4:7] == ["63.5 ± 0.7", "+3.5 ± 0.7", "+2.5 ± 0.7"]


def test_a_correlation_without_an_order_leaves_its_cell_empty() -> None:
    line = table({"one": {"0": ONE | {"lift, rows": None}}}).splitlines()[2]
    assert line.endswith("| +0.00 | none |")
