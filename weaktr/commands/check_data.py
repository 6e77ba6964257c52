"""`weaktr check-data`."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from weaktr.config import DatasetParams, load_params, parse_params
from weaktr.data.check import Report, check_dataset
from weaktr.data.listing import Problem
from weaktr.data.summary import tables
from weaktr.data.tags import parse_tags
from weaktr.errors import UserError

PARAMS_FILE = Path("params.yaml")


def run(
    params_file: Path | None, overrides: Mapping[str, str], *, workers: int | None = None
) -> int:
    """Checks a data set and prints what it holds and what is wrong with it.

    Args:
        params_file: Gives the `dataset` section; `None`: `params.yaml`, or nothing where another
            data set is named.
        overrides: Values of the section that go before the file's.
        workers: Processes; `None`: one a core.

    Returns:
        Exit code: 2 if training would fail, else 0.
    """
    params = dataset_params(params_file, overrides)
    if params.kind == "shapes" and not Path(params.root).is_dir():
        raise UserError(
            f"{params.root} is not there: `dvc repro prepare` generates the demo's images and "
            "checks them; for your own, give --kind and --root."
        )
    report = check_dataset(params, workers=workers)
    show(report, Console())
    return 2 if report.errors else 0


def dataset_params(params_file: Path | None, overrides: Mapping[str, str]) -> DatasetParams:
    """The `dataset` section that file and options make together.

    Raises:
        UserError: If a value is not allowed.
    """
    if params_file is None and "root" in overrides and "kind" not in overrides:
        raise UserError("--root needs --kind: voc, coco or folder.")
    if params_file is None and "root" not in overrides:
        params_file = PARAMS_FILE
    section = {} if params_file is None else load_params(params_file).dataset.model_dump()
    section |= overrides
    if "classes" in overrides:
        section["classes"] = parse_tags(overrides["classes"])
    options = "the options" if params_file is None else f"{params_file} with the options"
    return parse_params({"dataset": section}, options).dataset


def show(report: Report, console: Console) -> None:
    """Prints tables, notes, and every problem, errors last."""
    if len(report.manifest):
        for table in tables(report.summary()):
            console.print(table)
    for note in report.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    warnings = [problem for problem in report.problems if problem.severity == "warning"]
    _list(console, "Warnings", "yellow", warnings)
    _list(console, "Errors", "red", report.errors)
    if report.errors:
        verdict = "Training would fail."
    else:
        verdict = "Fit for training." if not warnings else "Fit for training, with warnings."
    console.print(f"\n{verdict}", style="bold")


def _list(console: Console, title: str, style: str, problems: list[Problem]) -> None:
    if problems:
        console.print(f"\n{title}: {len(problems)}", style=f"bold {style}")
    for problem in problems:
        console.print(f"  {problem.message}", markup=False, highlight=False, soft_wrap=True)
