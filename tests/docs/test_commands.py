"""Every command in the documentation exists, with its options, params, targets and files."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from tests.conftest import REPOSITORY
from tests.docs.commands import PAGES, lines, simple_commands, spans
from weaktr.cli.app import app
from weaktr.experiments.overrides import explain

ELSEWHERE = ("[", "bash", "curl", "export", "git", "ln", "sbatch", "scontrol", "source", "torchrun")
"""Programs that are not of this project."""
COMMANDS = [(page, line) for page in PAGES for line in lines(page)]
SPANS = sorted({(page, span) for page in PAGES for span in spans(page) if "..." not in span})


def check_weaktr(words: list[str]) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    group.commands[words[0]].make_context(words[0], words[1:])  # parses, and runs nothing


def check_dvc(words: list[str]) -> None:
    from dvc.cli.parser import get_main_parser

    arguments = get_main_parser().parse_args(words)
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    explain(getattr(arguments, "set_param", None) or [], params, REPOSITORY)


def check_make(words: list[str]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{name} [?:]?=" if is_variable else rf"^{name}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"the Makefile has no {name}"


def check_python(words: list[str]) -> None:
    assert words[0] == "-m"
    place = REPOSITORY.joinpath(*words[1].split("."))
    assert words[1] == "venv" or place.is_dir() or place.with_suffix(".py").is_file()


def check_mlflow(words: list[str]) -> None:
    from mlflow.cli import cli

    command: Any = cli
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("mlflow", words)


def check_file(words: list[str]) -> None:
    for word in words:
        assert word.startswith("-") or (REPOSITORY / word).exists(), word


CHECKS = {
    "weaktr": check_weaktr,
    "dvc": check_dvc,
    "make": check_make,
    "python": check_python,
    "mlflow": check_mlflow,
    "pytest": check_file,
    "pre-commit": lambda words: None,
}


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_of_the_documentation_exists(page: str, line: str) -> None:
    for words in simple_commands(re.sub(r"^\(printf.*\|\s*|^srun ", "", line)):
        program = Path(words[0]).name
        if program in CHECKS:
            CHECKS[program](words[1:])
        else:
            assert program in ELSEWHERE, f"{page}: what is {program}?"


@pytest.mark.slow
@pytest.mark.parametrize(("page", "span"), SPANS)
def test_a_command_in_a_sentence_exists(page: str, span: str) -> None:
    """It may lack arguments; what is there is right."""
    program, *words = next(simple_commands(span))
    if program != "weaktr":
        CHECKS[program](words)
        return
    command: Any = typer.main.get_command(app)
    if words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    known = {name for param in command.get_params(typer.Context(command)) for name in param.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_no_page_is_left_out() -> None:
    assert {page for page, _ in COMMANDS} >= {"README.md", "CONTRIBUTING.md", "docs/recipes.md"}
    assert {page for page, _ in SPANS} >= {"docs/faq.md", "docs/params.md"}
    assert len(COMMANDS) > 30 < len(SPANS)
