"""What a command and a stage take before and after their work."""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Part
from benchmarks.measure import Step
from weaktr.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
BARE, TORCH = "Python alone", "importing torch alone"
PARAMS = """\
dataset: {kind: shapes, shapes: {train_images: 16, val_images: 4, image_side: 32}}
runtime: {device: cpu, threads: 1}
"""


def cases(device: torch.device) -> Iterator[Case]:
    """The help of a command, and a stage with hardly any work, with and without MLflow."""
    yield Case(family="start-up", name="weaktr --help", seconds=8, build=_help)
    yield Case(family="start-up", name="a stage", seconds=45, build=_stage)


def _help(device: torch.device, stack: ExitStack) -> Race:
    main = "import sys; from weaktr.cli.app import main; sys.argv = ['weaktr', '--help']; main()"
    steps: dict[str, Step] = {
        "ours": partial(_python, "-c", main, folder=REPOSITORY),
        BARE: partial(_python, "-c", "pass", folder=REPOSITORY),
    }
    line = Line(setting="weaktr --help", against=None, limit=Part(BARE))
    return Race(steps=steps, lines=[line], memory=None)


def _stage(device: torch.device, stack: ExitStack) -> Race:
    """`prepare` of twenty tiny images, in a folder of its own."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "data/raw/shapes").mkdir(parents=True)
    for name in ("weaktr", "stages"):
        (folder / name).symlink_to(REPOSITORY / name)
    stage = partial(_python, "-m", "stages", "prepare", folder=folder)
    steps: dict[str, Step] = {
        "tracked": partial(stage, "--track"),
        "untracked": partial(stage, "--no-track"),
        TORCH: partial(_python, "-c", "import torch", folder=folder),
    }
    lines = [
        Line(setting=f"prepare, 20 images, {name}", ours=name, against=None, limit=Part(TORCH))
        for name in ("tracked", "untracked")
    ]
    return Race(steps=steps, lines=lines, memory=None)


def _python(*arguments: str, folder: Path) -> None:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise UserError(f"{shlex.join(command)} failed: {lines[-1] if lines else 'no message'}")
