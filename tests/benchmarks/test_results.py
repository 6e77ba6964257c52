"""Rows as JSON, on a narrow terminal, as Markdown, and beside those of another day."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.measure import Spread
from benchmarks.results import Results, Row
from benchmarks.table import HEAD, cells, compare, duration, markdown, print_family
from weaktr.errors import UserError

ROW = Row(
    family="CAM training step",
    setting="224, batch 8, bfloat16",
    seconds=Spread(0.6256, 0.61, 0.7),
    against="published way, float32",
    against_seconds=Spread(1.939, 1.9, 2.3),
    faster=Spread(3.10, 2.94, 3.31),
    rounds=12,
    steady=True,
    mib=351.2,
    against_mib=1910.0,
    limit="988 GFLOP",
    limit_seconds=0.4,
)
LONG = replace(
    ROW,
    setting="multi-scale evaluation, 384x255, 68 windows, float32",
    steady=False,
    faster=Spread(1313.0, 1200.0, 1400.0),
)
ALONE = replace(ROW, setting="a stage", against=None, against_seconds=None, faster=None)
RESULTS = Results(
    machine="a processor, 2 threads; no GPU",
    rates=("Limits on 2 threads: memory 20 GB/s",),
    rows=(ROW, LONG, ALONE),
    notes={"CAM training step": ("Said once.",)},
)


def printed(width: int) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False)
    print_family("CAM training step", RESULTS.rows, ("Said once.",), console)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_is_readable(width: int) -> None:
    text = printed(width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    words = {word for row in RESULTS.rows for cell in cells(row) for word in cell.split()}
    assert all(word in text for word in words | set(HEAD))  # none is broken
    assert "…" not in text
    assert "3.10x 2.94-3.31" in text  # numbers stay on one line
    assert "~1313x 1200-1400" in text


def test_a_wide_terminal_has_one_line_for_each_row() -> None:
    (line,) = [line for line in printed(120).splitlines() if line.startswith(ROW.setting)]
    assert all(cell in line for cell in cells(ROW))


def test_a_row_says_how_near_the_limit_it_is() -> None:
    assert cells(ROW)[-1] == "64%"
    assert cells(replace(ROW, limit=None, limit_seconds=None))[-1] == ""
    assert cells(ALONE)[2:5] == ("", "", "351/1910")


def test_durations_have_three_digits() -> None:
    given = (123.4, 2.345, 0.0567, 0.00089, 1.2e-5)
    assert [duration(s) for s in given] == ["123 s", "2.35 s", "56.7 ms", "890 us", "12.0 us"]


def test_json_gives_the_same_table(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.json"
    RESULTS.save(path)
    assert Results.load(path) == RESULTS
    assert markdown(Results.load(path)) == markdown(RESULTS)


@pytest.mark.parametrize("content", ["", "[]", '{"rows": []}', '{"machine": 1, "rates": 2}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(UserError, match="other.json"):
        Results.load(path)


def test_markdown_is_narrow_and_whole() -> None:
    text = markdown(RESULTS)
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert max(map(len, table)) <= 140
    assert {line.count("|") for line in table} == {len(HEAD) + 1}
    assert len(table) == 2 + len(RESULTS.rows)
    assert "### CAM training step" in lines
    assert re.search(r"Said once\. Limit: 988 GFLOP \(400 ms\)\.", text)


def test_two_days_are_compared_row_by_row() -> None:
    better = replace(ROW, faster=Spread(3.6, 3.4, 3.8), seconds=Spread(0.5, 0.5, 0.5))
    new = replace(ROW, setting="448, batch 2, float32")
    now = replace(RESULTS, rows=(better, new))
    stream = io.StringIO()
    compare(RESULTS, now, Console(file=stream, width=80, highlight=False))
    text = stream.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    lines = text.splitlines()
    (changed,) = [line for line in lines if "500 ms" in line]
    assert "626 ms" in changed
    assert changed.split()[-1] == "+"
    assert "3.10 2.94-3.31" in changed
    assert "3.60 3.40-3.80" in changed
    assert sum(line.endswith("new") for line in (line.rstrip() for line in lines)) == 1
    assert "no longer measured: CAM training step, a stage" in text
