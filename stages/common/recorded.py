"""Checkpoints of a finished training live until DVC has recorded what it made.

Between the last step and `dvc.lock` much can fail: a full cache, a kill, a store of runs that is
gone. DVC then removes the outputs and runs the stage again, which finds its checkpoint complete.
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from weaktr.errors import UserError
from weaktr.files import read_json, write_json

FINISHED = ".finished.json"
KEPT_DAYS = 30
"""Nobody comes back to a training that was left alone for so long."""


def note_outputs(folder: Path, stage: str, stems: Sequence[str], outputs: Sequence[Path]) -> None:
    """Notes what a finished training has written, so that its checkpoints can go once DVC has it.

    Args:
        folder: Of the checkpoints.
        stage: Name of the stage.
        stems: What the names of its checkpoints begin with.
        outputs: Folders that it wrote.
    """
    made = {path.as_posix(): dvc_digest(path) for path in outputs}
    note = {"stage": stage, "stems": list(stems), "outputs": made}
    write_json(folder / f"{stems[-1]}{FINISHED}", note)


def forget_recorded(folder: Path, lock: Path = Path("dvc.lock")) -> None:
    """Removes checkpoints whose outputs `dvc.lock` has, and those that nobody came back to.

    Args:
        folder: Of the checkpoints.
        lock: The lock of the working folder.
    """
    recorded = _recorded(lock)
    for path in folder.glob(f"*{FINISHED}"):
        try:
            note = read_json(path)
            stage, outputs, stems = note["stage"], note["outputs"], note["stems"]
        except (UserError, LookupError, TypeError):
            continue  # not a note of ours
        if outputs and all(recorded.get((stage, out)) == made for out, made in outputs.items()):
            for stem in stems:
                _remove(folder.glob(f"{stem}*"))
    long_ago = time.time() - KEPT_DAYS * 24 * 3600
    _remove(path for path in folder.glob("*-*") if _changed(path) < long_ago)


def dvc_digest(folder: Path) -> str:
    """The digest of a folder's content as it stands in `dvc.lock`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [{"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files]
    listed.sort(key=lambda entry: entry["relpath"].split("/"))
    text = json.dumps(listed, sort_keys=True).encode()
    return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"


def _recorded(lock: Path) -> dict[tuple[str, str], str]:
    """The digest of every output in a lock, by stage and path."""
    try:
        content: Any = yaml.safe_load(lock.read_text(encoding="utf-8"))
        return {
            (name, out["path"]): out["md5"]
            for name, stage in content["stages"].items()
            for out in stage.get("outs", ())
        }
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return {}  # there is none, or DVC itself will say what is wrong with it


def _changed(path: Path) -> float:
    """When a file changed, in seconds of Unix time; never, if another process removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
