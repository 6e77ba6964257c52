"""The commands that the documentation shows."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "data/README.md",
    *sorted(path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("docs/*.md")),
)
FENCE = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:weaktr|dvc (?:repro|exp|status)|make|python -m|mlflow) [^`]*)`")
JOINED = re.compile(r"(\\|\||&&)\n\s*")


def lines(page: str) -> list[str]:
    """What its fenced blocks of shell would run, a command line each; comments are gone."""
    blocks = FENCE.findall((REPOSITORY / page).read_text(encoding="utf-8"))
    found = [
        line
        for block in blocks
        for line in JOINED.sub(lambda m: m[1].strip("\\") + " ", block).splitlines()
    ]
    return [bare for line in found if (bare := re.sub(r"(^#|\s+# ).*", "", line).strip())]


def spans(page: str) -> list[str]:
    """Commands within its sentences."""
    text = re.sub(r"^```.*?^```", "", (REPOSITORY / page).read_text("utf-8"), flags=re.M | re.S)
    return [" ".join(span.split()) for span in SPAN.findall(text)]


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of every command in a line: `a && b` has two. Pipelines into others end it."""
    words: list[str] = []
    for word in shlex.split(line):
        if word in ("&&", ";", "|"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def written(folder: Path, name: str, text: str) -> Path:
    """A script that can be run."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path
