"""Stages as real processes that are stopped: nothing is lost, nothing is left behind."""

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mlflow_store import client
from tests.running import start_stage
from tests.tiny import contents, tiny_params, write_params

pytestmark = pytest.mark.slow

EPOCHS = 60
MADE = ("models/cam", "reports/train_cam")


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a longer training has run through."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    write_params(folder, tiny_params(cam__epochs=EPOCHS))
    code, output = start_stage(folder, "train_cam", "--no-track").end()
    assert code == 0, output
    return folder


@pytest.fixture
def begun(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which it has not."""
    shutil.copytree(whole, tmp_path / "begun")
    for name in (*MADE, "checkpoints"):
        shutil.rmtree(tmp_path / "begun" / name)
    return tmp_path / "begun"


@contextmanager
def hangups(handler: signal.Handlers) -> Iterator[None]:
    """What is started inside begins with this for SIGHUP."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def made_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.chdir(folder)
    return contents(*MADE)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_says_so_and_leaves_and_the_next_run_goes_on(
    whole: Path,
    begun: Path,
    empty_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    shutil.copy(empty_store, begun / "mlflow.db")
    with hangups(signal.SIG_DFL):  # else `nohup make test` would have them ignored
        first = start_stage(begun, "train_cam")
    first.wait_for_line(f"train_cam 3/{EPOCHS}")
    first.process.send_signal(number)
    ended, output = first.end()
    assert ended == code
    assert f"train_cam was stopped by {number.name}; run the same again" in output
    assert "Traceback" not in output
    reached = output.partition("train_cam stopped after ")[2].partition("\n")[0]
    assert reached.startswith("epoch ")
    (experiment,) = client(begun).search_experiments(filter_string="name = 'weaktr-stages'")
    (run,) = client(begun).search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"
    ended, output = start_stage(begun, "train_cam").end()
    assert ended == 0
    finished, _ = client(begun).search_runs(
        [experiment.experiment_id], order_by=["attributes.start_time DESC"]
    )
    curve = client(begun).get_metric_history(finished.info.run_id, "loss")
    assert sorted(metric.step for metric in curve) == list(range(1, EPOCHS + 1))
    assert f"train_cam goes on after {reached}" in output
    assert made_in(begun, monkeypatch) == made_in(whole, monkeypatch)


def test_a_warning_signal_saves_and_the_training_goes_on(begun: Path) -> None:
    """As SLURM sends it some minutes before it takes the machine."""
    running = start_stage(begun, "train_cam", "--no-track")
    running.wait_for_line(f"train_cam 3/{EPOCHS}")
    assert not list((begun / "checkpoints").glob("*.pt")), "by itself it saves every two minutes"
    running.process.send_signal(signal.SIGUSR1)
    running.wait_for(lambda: list((begun / "checkpoints").glob("*.pt")))
    code, output = running.end()
    assert code == 0, output
    assert f"train_cam {EPOCHS}/{EPOCHS}" in output


def test_what_is_ignored_stays_ignored(begun: Path) -> None:
    """`nohup` ignores SIGHUP."""
    with hangups(signal.SIG_IGN):
        running = start_stage(begun, "train_cam", "--no-track")
    running.wait_for_line(f"train_cam 3/{EPOCHS}")
    running.process.send_signal(signal.SIGHUP)
    assert running.end()[0] == 0


def test_a_second_trainer_is_refused_and_takes_over_when_the_first_is_killed(
    whole: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_stage(begun, "train_cam", "--no-track")
    first.wait_for_line(f"train_cam 3/{EPOCHS}")
    first.process.send_signal(signal.SIGSTOP)
    code, output = start_stage(begun, "train_cam", "--no-track").end()
    assert code == 2
    assert f"another process ({first.process.pid}) runs train_cam in this folder" in output
    second = start_stage(begun, "train_cam", "--no-track")
    time.sleep(1)
    first.process.kill()
    assert second.end()[0] == 0
    assert made_in(begun, monkeypatch) == made_in(whole, monkeypatch)


def test_a_rate_that_destroys_the_network_is_noticed(begun: Path) -> None:
    write_params(begun, tiny_params(cam__epochs=1, cam__batch_size=24, cam__lr=1e30))
    code, output = start_stage(begun, "train_cam", "--no-track").end()
    assert code == 2
    assert output.count("\n") == 1
    assert "no finite number; lower the learning rate" in output
    assert not (begun / "models/cam").exists()


def test_a_folder_of_checkpoints_that_is_full_is_said_and_stops_nothing(
    whole: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (begun / "checkpoints").write_text("a file in the place of the folder")
    code, output = start_stage(begun, "train_cam", "--no-track").end()
    assert (code, output.count("\n")) == (2, 1)
    assert "checkpoints" in output
