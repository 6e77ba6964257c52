"""Stages as processes of their own, to be stopped and killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import REPOSITORY

DEADLINE = 120


class Running:
    """A process whose output is followed in a file."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self.log = folder / f".{time.monotonic_ns()}.log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What was printed up to now."""
        return self.log.read_text()

    def wait_for(self, happened: Callable[[], object]) -> None:
        """Waits until something has happened; the process must not end before."""
        end = time.monotonic() + DEADLINE
        while not happened():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.01)

    def wait_for_line(self, part: str) -> None:
        """Waits until some words are printed."""
        self.wait_for(lambda: part in self.output)

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns the exit code and all output."""
        return self.process.wait(DEADLINE), self.output


def environment(**more: str) -> dict[str, str]:
    """One in which `python -m stages` is the checkout's, untracked by DVC."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
    own = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    return {**kept, **own, **more}


def start_stage(folder: Path, stage: str, *options: str, **more: str) -> Running:
    """Starts a stage in a folder."""
    command = [sys.executable, "-m", "stages", stage.replace("_", "-"), *options]
    return Running(folder, command, environment(**more))
