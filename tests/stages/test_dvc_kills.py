"""Trainings under real `dvc` that is killed, or cannot record: no step is trained twice."""

import re
import shutil
import signal

import psutil
import pytest

from tests.dvc_repository import Repository
from tests.running import Running
from tests.tiny import contents

pytestmark = pytest.mark.slow

EPOCHS = 60


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that is prepared, with an uninterrupted training beside it, in `whole`."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.change("cam", "epochs", EPOCHS)
    repository.commit()
    repository.call("dvc", "repro", "train_cam")
    shutil.copytree(repository.folder / "models/cam", repository.folder / "tmp/whole")
    forget_training(repository)
    return repository


def forget_training(repository: Repository) -> None:
    """As if it had never been."""
    for name in ("models", ".dvc/cache/runs", "checkpoints"):
        shutil.rmtree(repository.folder / name)
    (repository.folder / "dvc.lock").unlink()
    repository.call("dvc", "commit", "--force", "code", "prepare")


def is_whole(repository: Repository) -> bool:
    made, whole = (contents(str(repository.folder / name)) for name in ("models/cam", "tmp/whole"))
    return list(made.values()) == list(whole.values())


def started(repository: Repository, *command: str) -> tuple[Running, psutil.Process]:
    """`dvc` and its trainer, in the midst of training."""
    running = Running(repository.folder, list(command), repository.environment)
    running.wait_for_line(f"train_cam 3/{EPOCHS}")
    found = [
        process
        for process in psutil.Process(running.process.pid).children(recursive=True)
        if "stages" in process.cmdline()
    ]
    return running, found[-1]


def test_a_trainer_ends_with_its_dvc_and_the_next_goes_on(repository: Repository) -> None:
    running, trainer = started(repository, "dvc", "repro", "train_cam")
    running.process.kill()
    running.process.wait()
    trainer.wait(30)
    assert f"dvc (process {running.process.pid}) is gone; stopping." in running.output
    reached = re.search(r"train_cam stopped after (.*)", running.output)
    assert reached is not None
    output = repository.call("dvc", "repro", "train_cam")
    assert f"train_cam goes on after {reached[1]}" in output
    assert is_whole(repository)
    forget_training(repository)


def test_a_job_that_is_told_to_end_goes_on_when_it_is_requeued(repository: Repository) -> None:
    """SLURM's way: SIGTERM to every process of the step, and the same command again."""
    running, trainer = started(repository, "dvc", "repro", "train_cam")
    for process in (trainer, psutil.Process(running.process.pid)):
        process.send_signal(signal.SIGTERM)
    trainer.wait(30)
    assert running.process.wait(30) != 0
    assert "train_cam was stopped by SIGTERM" in running.output
    assert "train_cam goes on after" in repository.call("dvc", "repro", "train_cam")
    assert is_whole(repository)
    forget_training(repository)


def test_what_dvc_could_not_record_is_not_trained_again(repository: Repository) -> None:
    """A cache that is full, read-only, or on a disk that is gone."""
    repository.call("dvc", "config", "--local", "cache.dir", "/dev/null/cache")
    output = repository.call("dvc", "repro", "-s", "train_cam", code=255)
    assert f"train_cam {EPOCHS}/{EPOCHS}" in output
    assert list((repository.folder / "checkpoints").glob("train_cam-*.pt"))
    repository.call("dvc", "config", "--local", "--unset", "cache.dir")
    output = repository.call("dvc", "repro", "train_cam")
    assert f"train_cam goes on after epoch {EPOCHS} of {EPOCHS}" in output
    assert not re.search(r"train_cam \d+/", output)
    assert is_whole(repository)
    assert list((repository.folder / "checkpoints").glob("train_cam-*.pt"))
    repository.call("dvc", "repro", "-s", "-f", "export_labels")
    assert not list((repository.folder / "checkpoints").glob("train_cam-*.pt")), "recorded"


def test_an_experiment_in_a_copy_leaves_its_checkpoint_to_the_next(repository: Repository) -> None:
    experiment = ("dvc", "exp", "run", "--temp", "-S", "cam.lr=0.03", "train_cam")
    running, trainer = started(repository, *experiment)
    trainer.send_signal(signal.SIGTERM)
    running.end()
    assert list((repository.folder / "checkpoints").glob("train_cam-*.pt"))
    assert "train_cam goes on after" in repository.call(*experiment)
