"""Export, evaluation and relabelling that are killed: they go on, to the same bytes."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stages.common.runner import stage_named
from stages.common.stage import Context
from tests.running import Running, start_stage
from tests.tiny import contents, tiny_params, write_params
from weaktr.config.load import parse_params
from weaktr.files import digest_value
from weaktr.journal import ImageJournal

pytestmark = pytest.mark.slow

MADE = {
    "export_labels": ("data/cams", "data/pseudo-labels", "reports/export_labels"),
    "evaluate": ("data/predictions", "reports/evaluate"),
    "train_decoder": ("models/segmenter", "reports/train_decoder"),
}


class Killed(BaseException):
    """As sudden as SIGKILL, but in this process."""


def run(name: str, params: dict[str, Any]) -> list[str]:
    """Runs a stage here; returns what it said."""
    said: list[str] = []
    context = Context(
        params=parse_params(params),
        device="cpu",
        reports=Path("reports") / name,
        fingerprint=digest_value(params),
        say=said.append,
    )
    stage_named(name).run(context)
    return said


def kill_after(finished: int, patch: pytest.MonkeyPatch, *, before_noting: bool) -> None:
    """Lets a pass over images die around the line of one of them."""
    add, left = ImageJournal.add, finished

    def add_or_die(self: ImageJournal, id_: str, note: Any) -> None:
        nonlocal left
        if not left and before_noting:
            self.path(id_).write_bytes(b"half of a file")
            raise Killed
        add(self, id_, note)
        left -= 1
        if left < 0:
            raise Killed

    patch.setattr(ImageJournal, "add", add_or_die)


CASES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "export": ("export_labels", {}, (0, 1, 5, 17, 40, 47)),
    "export with a swept score": (
        "export_labels",
        {"labels__background_score": "sweep"},
        (0, 11, 23, 24, 40),
    ),
    "evaluation": ("evaluate", {}, (0, 3, 5)),
    "evaluation with a CRF": ("evaluate", {"evaluation__crf": {"iterations": 1}}, (4,)),
    "evaluation without masks": ("evaluate", {"evaluation__save_masks": False}, (2,)),
    "relabelling": ("train_decoder", {"decoder__rounds": 2}, (0, 10, 23)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pass_that_dies_anywhere_goes_on_to_the_same_bytes(
    workspace: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, changes, places = CASES[case]
    params = tiny_params(**changes)
    run(name, params)
    whole = contents(*MADE[name])
    assert len(whole) > 3
    for place in places:
        shutil.rmtree("checkpoints")
        for folder in MADE[name]:
            shutil.rmtree(folder)
        for before_noting in (False, True):  # twice: the second run dies as well
            with monkeypatch.context() as patch:
                kill_after(place, patch, before_noting=before_noting and name != "evaluate")
                try:
                    run(name, params)
                except Killed:
                    assert not any(Path(folder).exists() for folder in MADE[name])
        said = run(name, params)
        assert any("goes on after" in line for line in said)
        assert contents(*MADE[name]) == whole


def test_a_finished_pass_is_not_made_again_and_other_params_begin_anew(workspace: Path) -> None:
    run("export_labels", tiny_params())
    assert run("export_labels", tiny_params()) == ["export_labels goes on after 24 of 24 images"]
    assert run("export_labels", tiny_params(labels__background_score=0.3)) == []


SLOW = {"labels__crf": {"iterations": 400}, "evaluation__crf": {"iterations": 2000}}


def lines_in(folder: Path, stage: str) -> int:
    """Images of which a stage has noted that they are done."""
    found = [*folder.glob(f"checkpoints/{stage}-*/*.journal")]
    found += folder.glob(f"checkpoints/{stage}-*/pseudo-labels/*.journal")
    return sum(path.read_bytes().count(b"\n") for path in found)


@pytest.fixture(scope="module")
def slow_whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which export and evaluation, both slow, have run through."""
    folder = tmp_path_factory.mktemp("slow")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    write_params(folder, tiny_params(**SLOW))
    for stage in ("export_labels", "evaluate"):
        code, output = start_stage(folder, stage, "--no-track").end()
        assert code == 0, output
        shutil.rmtree(folder / "checkpoints")
    return folder


@pytest.fixture
def begun(slow_whole: Path, tmp_path: Path) -> Path:
    """A folder in which they have not."""
    folder = tmp_path / "begun"
    shutil.copytree(slow_whole, folder)
    for made in (*MADE["export_labels"], *MADE["evaluate"]):
        shutil.rmtree(folder / made)
    return folder


def kill_all(running: Running) -> None:
    for process in psutil.Process(running.process.pid).children(recursive=True):
        process.kill()
    running.process.kill()
    running.process.wait()


def terminate(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    code, output = running.end()
    assert code == 143, output
    assert "was stopped by SIGTERM; run the same again" in output
    assert "Traceback" not in output


def interrupt(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    code, output = running.end()
    assert code == 130, output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("stage", "end", "devices"),
    [
        ("export_labels", kill_all, (1, 2)),
        ("export_labels", kill_all, (2, 1)),
        ("export_labels", terminate, (2, 1)),
        ("export_labels", interrupt, (1, 1)),
        ("evaluate", kill_all, (2, 1)),
        ("evaluate", terminate, (1, 2)),
    ],
)
def test_a_stopped_or_killed_pass_goes_on_in_any_number_of_processes(
    slow_whole: Path,
    begun: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    end: Callable[[Running], None],
    devices: tuple[int, int],
) -> None:
    write_params(begun, tiny_params(**SLOW, runtime__devices=devices[0]))
    running = start_stage(begun, stage, "--no-track")
    running.wait_for(lambda: lines_in(begun, stage) >= 2)
    end(running)
    reached = lines_in(begun, stage)
    assert reached >= 2
    assert not (begun / MADE[stage][0]).exists()
    write_params(begun, tiny_params(**SLOW, runtime__devices=devices[1]))
    code, output = start_stage(begun, stage, "--no-track").end()
    assert code == 0, output
    assert f"{stage} goes on after " in output
    monkeypatch.chdir(slow_whole)
    whole = contents(*MADE[stage])
    monkeypatch.chdir(begun)
    assert contents(*MADE[stage]) == whole
