"""What a pure file must not hold: the commit, the versions and the machine of this moment."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from weaktr import __version__

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "dvc", "mlflow")
"""Those whose versions can change a result, or how it is kept."""


def machine_facts(project: Path) -> list[tuple[str, str]]:
    """Commit, versions and machine.

    Args:
        project: A folder; where it is no git repository, the commit is left out.
    """
    facts = [("weaktr", __version__)]
    if commit := _git(project, "rev-parse", "HEAD"):
        changed = _git(project, "status", "--porcelain", "--untracked-files=no")
        facts.append(("commit", commit[:12] + (", with changes" if changed else "")))
    facts.append(("Python", platform.python_version()))
    for package in PACKAGES:
        try:
            facts.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return [*facts, ("system", f"{platform.system()} {platform.machine()}")]


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
