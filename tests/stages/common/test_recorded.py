import os
import time
from pathlib import Path

import pytest
import yaml

from stages.common.recorded import KEPT_DAYS, dvc_digest, forget_recorded, note_outputs


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the checkpoints of a training of two rounds that is complete, and others."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    for name in ("t-0-e1.pt", "t-1-e1.pt", "t-1-e2.pt", "t-2-e1.pt", "t-0/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    model = Path("models/m")
    model.mkdir(parents=True)
    (model / "b").write_text("weights")
    note_outputs(folder, "t", ["t-0", "t-1"], [model])
    return folder


def write_lock(stage: str, digest: str) -> None:
    stages = {stage: {"cmd": "x", "outs": [{"path": "models/m", "hash": "md5", "md5": digest}]}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


@pytest.mark.parametrize(
    ("stage", "digest", "left"), [("t", None, 1), ("t", "other.dir", 6), ("u", None, 6)]
)
def test_they_go_once_dvc_has_just_what_they_made(
    checkpoints: Path, stage: str, digest: str | None, left: int
) -> None:
    forget_recorded(checkpoints)
    assert len(list(checkpoints.iterdir())) == 6, "there is no lock yet"
    write_lock(stage, digest or dvc_digest(Path("models/m")))
    forget_recorded(checkpoints)
    assert len(list(checkpoints.iterdir())) == left
    assert (checkpoints / "t-2-e1.pt").is_file(), "of another training"


@pytest.mark.parametrize("content", ["", "a: [", "stages: 3", "stages: {t: {outs: [x]}}"])
def test_a_lock_that_says_nothing_removes_nothing(checkpoints: Path, content: str) -> None:
    Path("dvc.lock").write_text(content)
    (checkpoints / "strange.finished.json").write_text("[]")
    forget_recorded(checkpoints)
    assert len(list(checkpoints.iterdir())) == 7


def test_those_that_nobody_came_back_to_go(checkpoints: Path) -> None:
    old = time.time() - (KEPT_DAYS + 1) * 24 * 3600
    os.utime(checkpoints / "t-2-e1.pt", (old, old))
    forget_recorded(checkpoints)
    assert not (checkpoints / "t-2-e1.pt").exists()
    assert len(list(checkpoints.iterdir())) == 5


def test_two_that_tidy_up_at_once_do_not_disturb_each_other(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.glob

    def removed_meanwhile(folder: Path, pattern: str) -> list[Path]:
        found = list(listed(folder, pattern))
        if pattern == "*-*":
            (checkpoints / "t-2-e1.pt").unlink()
        return found

    monkeypatch.setattr(Path, "glob", removed_meanwhile)
    forget_recorded(checkpoints)


def test_there_may_be_no_folder(tmp_path: Path) -> None:
    forget_recorded(tmp_path / "none", tmp_path / "dvc.lock")
