"""From cases to rows and files."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Flops, Part, Rates
from benchmarks.results import Results
from benchmarks.run import run_case
from weaktr.errors import UserError

CPU = torch.device("cpu")
RATES = Rates(1, {(p, 1): 1e9 for p in ("float32", "bfloat16")}, {1: 1e9})


def build(device: torch.device, stack: ExitStack) -> Race:
    a = torch.ones(64, 64, device=device)
    return Race(
        steps={"ours": lambda: a @ a, "twice": lambda: a @ a @ a, "part": lambda: a + a},
        lines=[
            Line(setting="64", against="twice", limit=Flops(4e6)),
            Line(setting="64 again", against=None, limit=Part("part")),
        ],
        per={"ours": 4, "twice": 2},
        notes=lambda: ["It is so."],
    )


CASE = Case(family="product", name="small", seconds=0.05, build=build)


def test_a_case_makes_rows_for_one_sample() -> None:
    rows, notes = run_case(CASE, CPU, RATES, traces=None)
    first, second = rows
    assert notes == ("It is so.",)
    assert (first.against, second.against) == ("twice", None)
    assert first.limit == "1.0 MFLOP"  # a quarter of a call's
    assert first.limit_seconds == pytest.approx(1e-3)
    assert second.limit_seconds is not None
    assert first.mib == pytest.approx(64 * 64 * 4 / 2**20)
    assert first.against_mib == pytest.approx(2 * 64 * 64 * 4 / 2**20)
    assert first.faster is not None
    assert first.against_seconds is not None
    # Two products of two samples a call, against one product of four.
    assert 2 < first.faster.median < 8
    assert first.seconds.low <= first.seconds.median <= first.seconds.high
    assert second.faster is None


def test_what_a_case_needs_is_undone() -> None:
    undone: list[str] = []

    def with_something(device: torch.device, stack: ExitStack) -> Race:
        stack.callback(undone.append, "it")
        return build(device, stack)

    case = Case(family="product", name="small", seconds=0.01, build=with_something)
    run_case(case, CPU, RATES, traces=None)
    assert undone == ["it"]


def test_every_step_leaves_a_trace_where_asked(tmp_path: Path) -> None:
    run_case(CASE, CPU, RATES, traces=tmp_path / "traces")
    names = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert names == [f"product-small-{step}.json" for step in ("ours", "part", "twice")]
    events = json.loads((tmp_path / "traces/product-small-ours.json").read_text())["traceEvents"]
    assert any(event.get("name") == "aten::mm" for event in events)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page to write, and one small case."""
    path = tmp_path / "benchmarks.md"
    path.write_text(f"# Prose\n\n{command.MARKER}old\n")
    monkeypatch.setattr(command, "DOCS", tmp_path)
    monkeypatch.setattr(command, "measure_rates", lambda device: RATES)
    use(monkeypatch, CASE)
    return path


def use(monkeypatch: pytest.MonkeyPatch, *cases: Case) -> None:
    monkeypatch.setattr(command, "all_cases", lambda device: list(cases))


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--device", "cpu", *arguments])
    monkeypatch.setattr(command, "set_threads", lambda count: None)
    command.main()


def test_a_whole_run_writes_page_and_results(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch)
    text = page.read_text()
    assert text.startswith("# Prose\n")
    assert "### product" in text
    assert "old" not in text
    results = Results.load(page.with_name("benchmarks.json"))
    assert [row.setting for row in results.rows] == ["64", "64 again"]
    assert results.notes == {"product": ("It is so.",)}


def test_a_part_of_a_run_leaves_the_page(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_text()
    call(monkeypatch, "--rows", "SMALL", "--save", str(page.with_name("part.json")))
    call(monkeypatch, "--quick")
    assert page.read_text() == before
    assert not page.with_name("benchmarks.json").exists()
    assert len(Results.load(page.with_name("part.json")).rows) == 2
    assert "No page is written" in capsys.readouterr().out


def test_a_row_that_cannot_be_measured_is_named_and_the_others_go_on(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(device: torch.device, stack: ExitStack) -> Race:
        raise UserError("something is missing.")

    before = page.read_text()
    use(monkeypatch, Case(family="other", name="one", seconds=1, build=fails), CASE)
    call(monkeypatch)
    out = capsys.readouterr().out
    assert "other, one: not measured. something is missing." in out
    assert "64 again" in out
    assert page.read_text() == before


def test_rows_that_do_not_exist_are_refused_with_a_list(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "--rows", "nothing")
    assert stopped.value.code == 2
    assert "product, small" in capsys.readouterr().err


def test_saved_results_are_compared_without_measuring(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch)
    monkeypatch.setattr(command, "measure_rates", None)
    call(monkeypatch, "--compare", str(page.with_name("benchmarks.json")))
    assert "64, twice" in capsys.readouterr().out


def test_every_family_has_cases_with_names_of_their_own() -> None:
    cases = command.all_cases(CPU)
    titles = [case.title for case in cases]
    assert len(set(titles)) == len(titles)
    assert {case.family for case in cases} >= {"CAM training step", "dense CRF", "start-up"}
    assert sum(case.seconds for case in cases) < 16 * 60  # and a few minutes to warm up


def test_a_gpu_has_its_own_page_and_leaves_out_what_it_has_no_part_in() -> None:
    gpu = torch.device("cuda:1")
    families = {case.family for case in command.all_cases(CPU)}
    assert families - {case.family for case in command.all_cases(gpu)} == {
        "indexing, an image",
        "start-up",
    }
    pages = [command.page(torch.device(name)) for name in ("cpu", "cuda:1", "mps")]
    assert [one and one.name for one in pages] == ["benchmarks.md", "benchmarks-gpu.md", None]
    assert all(one is None or one.with_suffix(".json").is_file() for one in pages)
