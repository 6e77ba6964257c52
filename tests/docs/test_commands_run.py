"""The commands of the README run, in its order, in a small project."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.commands import lines, written
from tests.dvc_repository import Repository
from tests.tiny import tiny_params, write_params
from tests.tiny_data import write_folder, write_image
from weaktr.config.load import parse_params

NOT_RUN = {
    r"make (repro|test|setup|ui|supervised)\b": "set-up, the whole suite, a server",
    r"source ": "the environment of the tests is active",
    r"dvc exp run -S '\+recipes=(own-images|voc12-deit-s)' ?": "weights from the hub, hours",
    r"ln -s /path": "a data set that is not here",
}
"""What cannot be run here, and why; `test_commands.py` looks at these too."""


def stand_in(repository: Repository, line: str) -> str:
    """A line with what is here in the place of its examples."""
    if "runs:/3f2a..." in line:
        results = json.loads(repository.call("weaktr", "runs", "--json"))
        line = line.replace("3f2a...", results[0]["run_id"])
    return line.replace("REVISION", "HEAD")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A tiny project with the files that the README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    made = Repository(folder / "project")
    write_params(made.folder, parse_params(tiny_params()).model_dump(mode="json"))
    weights = "data/pretrained/shapes-vit.safetensors"
    shutil.copy(REPOSITORY / weights, made.folder / weights)
    programs = folder / "bin"
    written(programs, "weaktr", '#!/bin/sh\nexec python -m weaktr.cli.app "$@"\n')
    made.environment["PATH"] = f"{programs}:{made.environment['PATH']}"
    made.environment["COLUMNS"] = "200"
    made.commit()
    pets = {f"{i}.jpg": ("dog", '"cat;person"')[i % 2] for i in range(10)}
    write_folder(made.folder / "data/raw/pets", pets)
    for name in ("photos/1.jpg", "photos/sub/2.png", "photo.jpg"):
        write_image(made.folder / name, width=64, height=48)
    return made


@pytest.mark.slow
def test_the_commands_of_the_readme_run(repository: Repository) -> None:
    skipped = []
    for line in lines("README.md"):
        if any(re.match(pattern, line) for pattern in NOT_RUN):
            skipped.append(line)
            continue
        repository.call("bash", "-c", stand_in(repository, line))
    unused = [p for p in NOT_RUN if not any(re.match(p, line) for line in skipped)]
    assert unused == []

    assert len(list((repository.folder / "predictions/masks").rglob("*.png"))) == 2
    assert (repository.folder / "photo.cam.png").is_file()
    assert (repository.folder / "model.onnx").is_file()
    changed = repository.call("git", "status", "--short").split()
    mine = {
        "photos/",
        "photo.jpg",
        "metrics.json",
        "plots/",
        "code.json",
        "dvc.lock",
        "params.yaml",
    }
    assert {name for name in changed if len(name) > 2} <= mine, "git ignores what commands write"


def test_own_images_quick_is_run_and_own_images_is_not() -> None:
    runs = [line for line in lines("README.md") if "recipes=own-images" in line]
    left_out = [line for line in runs if any(re.match(pattern, line) for pattern in NOT_RUN)]
    assert (len(runs), len(left_out)) == (2, 1)
    assert "quick" not in left_out[0]
    assert Path(REPOSITORY / "recipes/own-images-quick.yaml").is_file()
