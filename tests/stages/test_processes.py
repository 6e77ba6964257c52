"""Stages in two processes on a CPU, as `python -m stages` starts them."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.running import environment
from tests.tiny import contents, tiny_params, write_params

pytestmark = pytest.mark.slow

SHARED = ("data/cams", "data/pseudo-labels", "data/predictions")
SECONDS = 15
"""In which a job has to end after one of its processes died."""


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command, "--no-track"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        raise
    return process.returncode, out, err


def long_training(folder: Path, **changes: Any) -> subprocess.Popen[str]:
    """A training in two processes that has begun."""
    params = {
        "runtime__devices": 2,
        "runtime__checkpoint_minutes": 0,
        "cam__epochs": 5000,
        "cam__drop_path": 0.0,
    }
    write_params(folder, tiny_params(**params | changes))
    job = start("stages", "train-cam")
    until = time.monotonic() + 120
    while len(list(folder.glob("checkpoints/train_cam-*.pt"))) < 2 and job.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.1)
    return job


def test_labels_masks_and_tables_are_those_of_one_process(workspace: Path) -> None:
    reports = ("reports/export_labels", "reports/evaluate")
    before = contents(*SHARED, *reports)
    write_params(workspace, tiny_params(runtime__devices=2))
    for stage in ("export-labels", "evaluate"):
        code, out, err = finish(start("stages", stage))
        assert code == 0, err
        assert out.count("\n") == 1
    assert contents(*SHARED, *reports) == before


def test_a_training_of_two_processes_says_and_writes_once(workspace: Path) -> None:
    write_params(workspace, tiny_params(runtime__devices=2))
    code, out, err = finish(start("stages", "train-cam"))
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [
        "train_cam",
        "train_cam",
        "train_cam:",
    ]
    assert Path("models/cam/model.safetensors").is_file()


def test_torchrun_starts_the_same(workspace: Path) -> None:
    before = contents(*SHARED[:2])
    command = ["torch.distributed.run", "--nproc-per-node=2", "-m", "stages", "export-labels"]
    code, out, err = finish(start(*command))
    assert code == 0, err
    assert out.count("export_labels: ") == 1
    assert contents(*SHARED[:2]) == before


def test_a_mistake_is_one_sentence_however_many_processes_find_it(workspace: Path) -> None:
    write_params(workspace, tiny_params(runtime__devices=2))
    image = next(Path("data/prepared/files/shapes/JPEGImages").glob("train_*"))
    image.write_bytes(image.read_bytes()[:100])
    code, _, err = finish(start("stages", "export-labels"))
    assert (code, err.count("\n")) == (2, 1), err
    assert image.name in err
    Path("data/prepared/manifest.csv").unlink()  # found by both at once
    code, _, err = finish(start("stages", "train-cam"))
    assert (code, err.count("\n")) == (2, 1), err
    assert "manifest.csv" in err


def test_a_killed_process_ends_the_job_and_is_named(workspace: Path) -> None:
    job = long_training(workspace)
    second = max(psutil.Process(job.pid).children(), key=lambda process: process.pid)
    second.kill()
    killed = time.monotonic()
    code, _, err = finish(job)
    assert time.monotonic() - killed < SECONDS
    assert (code, err.count("\n")) == (2, 1), err
    assert "of 2 was ended by SIGKILL" in err


def test_a_stopped_job_saves_and_goes_on_in_one_process(workspace: Path) -> None:
    job = long_training(workspace)
    children = psutil.Process(job.pid).children()
    job.terminate()
    code, out, err = finish(job)
    assert code == 143
    assert "train_cam stopped after epoch" in out
    assert err.count("train_cam was stopped by SIGTERM") == 1, err
    assert not any(process.is_running() for process in children)
    params = tiny_params(runtime__devices=1, cam__epochs=5000, cam__drop_path=0.0)
    write_params(workspace, params)
    alone = start("stages", "train-cam")
    assert alone.stdout is not None
    assert "train_cam goes on after epoch" in alone.stdout.readline()
    alone.kill()
    alone.communicate()


def test_a_stop_that_reaches_every_process_saves(workspace: Path) -> None:
    """SLURM tells all processes of a step, and the launcher tells its own once more."""
    job = long_training(workspace, runtime__checkpoint_minutes=0.002, runtime__workers=1)
    before = {path.name for path in Path("checkpoints").glob("train_cam-*.pt")}
    everything = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    assert len(everything) >= 5, "the launcher, two trainers, a loader each"
    for process in everything:
        process.terminate()
    code, out, err = finish(job)
    assert code == 143, err
    assert "train_cam stopped after epoch" in out
    assert err.count("train_cam was stopped by SIGTERM") == 1, err
    assert {path.name for path in Path("checkpoints").glob("train_cam-*.pt")} != before


@pytest.mark.parametrize(("times", "seconds"), [(1, 45), (2, 25)])
def test_ctrl_c_ends_a_job_of_which_a_process_hangs(
    workspace: Path, times: int, seconds: float
) -> None:
    job = long_training(workspace)
    children = psutil.Process(job.pid).children()
    children[-1].suspend()
    asked = time.monotonic()
    job.send_signal(signal.SIGINT)
    if times == 2:
        time.sleep(4)
        job.send_signal(signal.SIGINT)
    code, _, _ = finish(job)
    assert code == 130
    assert time.monotonic() - asked < seconds
    assert not any(process.is_running() for process in children)


def test_no_process_outlives_its_launcher(workspace: Path) -> None:
    job = long_training(workspace)
    children = psutil.Process(job.pid).children()
    job.kill()
    job.communicate()
    _, alive = psutil.wait_procs(children, timeout=SECONDS)
    assert not alive
