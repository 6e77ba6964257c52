"""The measurement of the clipped loss: what is run, what is kept, and what it refuses."""

import threading
import time
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from scripts import measure_clipping
from scripts.clipping_runs import CLEAN, CLIPPED, PLAIN, Noise, noises
from scripts.label_noise import NOISES
from scripts.measure_clipping import finished, missing, telling
from weaktr.errors import UserError
from weaktr.files import read_json


def test_what_is_there_is_not_run_again() -> None:
    runs = {CLEAN: {PLAIN: {"0": {"miou": 1.0, "final_loss": 0.6}}}}
    left = list(missing(runs, [0, 1], [CLEAN, *NOISES], [PLAIN]))
    assert len(left) == 2 * len(noises()) - 1
    assert (0, Noise(CLEAN, 0), PLAIN) not in left
    few = list(missing(runs, [0, 1], ["wrong class"], [PLAIN]))
    assert [(seed, noise.rate, loss) for seed, noise, loss in few] == [
        (seed, rate, PLAIN) for seed in (0, 1) for rate in NOISES["wrong class"][1]
    ]


@pytest.mark.parametrize(
    ("final_loss", "left"),
    [
        (0.24, ["under 0.6", "under 0.3", "under 0.6, whole image", "under 0.3, whole image"]),
        (0.4, ["under 0.6", "under 0.6, whole image"]),
        (0.8, ["under 1.2"]),
        (2.0, []),
    ],
)
def test_clipping_is_run_where_it_starts_and_not_at_once(
    final_loss: float, left: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {CLEAN: {PLAIN: {"0": {"final_loss": final_loss}}}}
    asked = list(missing(runs, [0], [CLEAN], CLIPPED))
    assert [loss for *_, loss in telling(runs, asked)] == left
    said = capsys.readouterr().out
    assert all((f"{loss!r} 1 times" in said) != (loss in left) for loss in CLIPPED)


def test_all_that_is_asked_for_is_run_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(seed, Noise(CLEAN, 0), PLAIN) for seed in range(6)]
    two = threading.Barrier(2, timeout=60)
    running: list[int] = []
    most: list[int] = []

    def run(project: Path, seed: int, *_: object) -> dict[str, float]:
        running.append(seed)
        most.append(len(running))
        two.wait()
        running.remove(seed)
        return {"miou": float(seed)}

    monkeypatch.setattr(measure_clipping, "run", run)
    given = {what: found["miou"] for what, found in finished(Path(), asked, 2, 0)}
    assert given == {what: float(what[0]) for what in asked}
    assert max(most) <= 2


def test_runs_beside_one_that_fails_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(seed, Noise(CLEAN, 0), PLAIN) for seed in range(200)]

    def run(project: Path, seed: int, *_: object) -> dict[str, float]:
        time.sleep(0.01)
        if seed == 0:
            raise UserError("it failed.")
        return {"miou": float(seed)}

    monkeypatch.setattr(measure_clipping, "run", run)
    given = []
    with pytest.raises(UserError, match="it failed"):
        for what, _ in finished(Path(), asked, 3, 0):
            given.append(what[0])
    assert {1, 2} <= {*given}
    assert len(given) < 100, "none begins after one that failed"


def test_a_stop_waits_for_the_runs_that_have_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(seed, Noise(CLEAN, 0), PLAIN) for seed in range(5)]
    waits: list[int] = []

    def stopped_once(*arguments: Any, **keys: Any) -> Any:
        waits.append(1)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(*arguments, **keys)

    monkeypatch.setattr(measure_clipping, "run", lambda _, seed, *rest: {"miou": float(seed)})
    monkeypatch.setattr(measure_clipping, "wait", stopped_once)
    given = []
    with pytest.raises(KeyboardInterrupt):
        for what, _ in finished(Path(), asked, 2, 0):
            given.append(what[0])
    assert sorted(given) == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "0", "-3"], "must be 0 or more"),
        (["--jobs", "0"], "must be 1 or more"),
        (["--project", "."], "--project and --data go together"),
        (["--project", ".", "--data", "a | b"], "must be plain words on one line"),
        (["--noises", "none", "noise"], "invalid choice"),
        (["--losses", "under 0.3", PLAIN], "invalid choice"),
        (["--project", "nowhere", "--data", "photographs"], "nowhere has no params.yaml"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["measure_clipping", *arguments])
    for work in ("generated", "run"):
        monkeypatch.setattr(measure_clipping, work, lambda *_: pytest.fail("it runs"))
    with pytest.raises(SystemExit) as stop:
        measure_clipping.main()
    assert stop.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_run_that_fails_is_named_and_others_are_kept(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("docs")
    (elsewhere / "page.md").write_text("<!-- clipping -->\n<!-- end of clipping -->\n")
    monkeypatch.setattr(measure_clipping, "PAGE", elsewhere / "page.md")
    monkeypatch.setattr(measure_clipping, "NUMBERS", elsewhere / "numbers.json")
    monkeypatch.setattr(measure_clipping, "PICTURE", elsewhere / "map.png")
    begun = []

    def run(project: Path, seed: int, noise: Noise, loss: str, workers: int) -> dict[str, float]:
        begun.append(loss)
        if loss == "under 1.2":
            raise UserError("it failed.")
        return {"labels": 100.0, "final_loss": 0.5, "miou": 50.0}

    monkeypatch.setattr(measure_clipping, "run", run)
    arguments = ["--project", ".", "--data", "tiny", "--seeds", "0", "--noises", CLEAN]
    monkeypatch.setattr("sys.argv", ["measure_clipping", *arguments])
    with pytest.raises(SystemExit) as stop:
        measure_clipping.main()
    assert stop.value.code == 2
    assert begun == [PLAIN, "under 1.2"]
    assert list(read_json(elsewhere / "numbers.json")["tiny"][CLEAN]) == [PLAIN]
    assert "| none | 100.0 | 0.50 | 50.0 (1) |" in (elsewhere / "page.md").read_text()
    assert not (elsewhere / "map.png").exists(), "there is nothing to compare"


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_project_is_measured_and_left_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = Path.cwd(), tmp_path_factory.mktemp("docs")
    page, numbers = elsewhere / "page.md", elsewhere / "numbers.json"
    page.write_text("<!-- clipping -->\n<!-- end of clipping -->\n")
    monkeypatch.setattr(measure_clipping, "PAGE", page)
    monkeypatch.setattr(measure_clipping, "NUMBERS", numbers)
    monkeypatch.setattr(measure_clipping, "PICTURE", elsewhere / "map.png")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = {path.name for path in (*project.iterdir(), *project.parent.iterdir())}
    arguments = ["--project", str(project), "--data", "tiny DeiT", "--seeds", "4", "--jobs", "2"]
    losses = ["--noises", CLEAN, "--losses", "under 0.3, whole image"]
    monkeypatch.setattr("sys.argv", ["measure_clipping", *arguments, *losses])
    measure_clipping.main()
    assert {path.name for path in (*project.iterdir(), *project.parent.iterdir())} == names
    (row,) = [line for line in page.read_text().splitlines() if line.startswith("| none")]
    assert row.startswith("| none | 100.0 |")
    assert "**Tiny DeiT**" in page.read_text()
    found = read_json(numbers)["tiny DeiT"]["none"]
    assert all(0 <= by_seed["4"]["miou"] <= 100 for by_seed in found.values())
    assert len(found) == 2
    assert (elsewhere / "map.png").is_file()
