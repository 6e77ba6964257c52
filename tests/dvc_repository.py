"""A repository of the project's code with tiny params, driven by real `git` and `dvc`."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from stages.common.code_digest import source_of
from tests.conftest import REPOSITORY
from tests.tiny import tiny_params, write_params


class Repository:
    """A git and DVC repository with the project's code and tiny params."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("weaktr", "stages"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
        for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(REPOSITORY / name, folder / name)
        shutil.copytree(REPOSITORY / "recipes", folder / "recipes")
        write_params(folder, tiny_params())
        for name in ("data/raw/shapes", "data/pretrained"):  # as in a clone, where git has them
            shutil.copy(REPOSITORY / name / "README.md", folder / name)
        shutil.copy(REPOSITORY / "data/corrected/none/.gitkeep", folder / "data/corrected/none")
        (folder / "README.md").write_text("read me\n")
        (folder / "tests").mkdir()
        scripts = Path(sys.executable).parent
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))},
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "1",
        }
        # Bytecode is written here as it is at a user's, whose `__pycache__` must rerun nothing.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.call("git", "init", "--quiet")
        self.call("dvc", "init", "--quiet")
        shutil.copy(REPOSITORY / ".dvcignore", folder / ".dvcignore")
        shutil.copy(REPOSITORY / ".dvc/config", folder / ".dvc/config")
        for name in (".dvc/plots", ".dvc/hydra_plugins"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored, dirs_exist_ok=True)
        self.call("git", "config", "user.email", "a@b.c")
        self.call("git", "config", "user.name", "a")

    def call(self, *command: str, code: int = 0) -> str:
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    def commit(self, message: str = "all") -> None:
        """Commits all that git does not ignore."""
        self.call("git", "add", ".")
        self.call("git", "commit", "--quiet", "--message", message)
        assert self.call("git", "status", "--short") == ""

    def repro(self) -> list[str]:
        """Stages that ran, but for those that digest code and gather numbers."""
        return [stage for stage in self.stages_run() if stage not in ("code", "summary")]

    def stages_run(self) -> list[str]:
        """All stages that ran."""
        return re.findall(r"^Running stage '(\w+)'", self.call("dvc", "repro"), re.MULTILINE)

    def edit(self, module: str, change: Callable[[str], str]) -> None:
        """Changes the source of a module."""
        path = self.folder / source_of(module).relative_to(REPOSITORY)
        before = path.read_text(encoding="utf-8")
        after = change(before)
        assert after != before
        path.write_text(after, encoding="utf-8")

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def clone(self, folder: Path) -> "Repository":
        """A clone by `git`, without any data."""
        self.call("git", "clone", "--quiet", str(self.folder), str(folder))
        other = copy.copy(self)
        other.folder = folder
        return other

    def change(self, section: str, key: str, value: Any) -> None:
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params.setdefault(section, {})[key] = value
        path.write_text(yaml.safe_dump(params))
