"""What `dvc exp run -S` refuses, through real DVC and without it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.dvc_repository import Repository

PLUGIN = REPOSITORY / ".dvc/hydra_plugins/refusal.py"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("refusals"))
    made.commit()
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "cam.epoch=3",
            "-S cam.epoch=3: params.yaml has no key cam.epoch. Did you mean cam.epochs?",
        ),
        ("+recipes=superv", "there is no recipe 'superv' (did you mean 'supervised'?)"),
        (
            "decoder.region=99",
            "-S decoder.region=99: decoder: region (99) must not exceed crop_size",
        ),
    ],
)
def test_one_sentence_and_nothing_written(
    repository: Repository, override: str, sentence: str
) -> None:
    before = (repository.folder / "params.yaml").read_text()
    output = repository.call("dvc", "exp", "run", "-S", override, code=255)
    (line,) = output.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert sentence in line
    assert (repository.folder / "params.yaml").read_text() == before
    assert repository.call("git", "status", "--short") == ""


@pytest.mark.slow
def test_another_hydra_keeps_its_own_words(tmp_path: Path) -> None:
    code = (
        "import runpy, sys, hydra._internal.config_loader_impl as inside\n"
        "del inside.ConfigLoaderImpl\n"
        f"runpy.run_path({str(PLUGIN)!r})\n"
        "sys.modules[inside.__name__] = None\n"
        f"runpy.run_path({str(PLUGIN)!r})\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
