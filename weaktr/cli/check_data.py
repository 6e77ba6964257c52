"""`weaktr check-data`: all that is wrong with a data set."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaktr.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from weaktr.config.dataset import DatasetParams
    from weaktr.data.checks.check import Report
    from weaktr.data.readers.listing import Problem

PARAMS_FILE = Path("params.yaml")
GENERATED = Path("data/prepared/files/shapes")
"""Where the stage `prepare` draws the demo's images."""


def check_data(
    params: Annotated[
        Path | None,
        typer.Option(help="Params file.", show_default="params.yaml, unless --root is given"),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Layout, dataset.kind: folder, imagefolder, voc, coco, yolo, cvat or labelstudio."
        ),
    ] = None,
    root: Annotated[str | None, typer.Option(help="The data set's folder: dataset.root.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Subset of classes: dataset.classes, such as cat,dog.")
    ] = None,
    train_split: Annotated[str | None, typer.Option(help="dataset.train_split.")] = None,
    val_split: Annotated[str | None, typer.Option(help="dataset.val_split.")] = None,
    tags_from: Annotated[
        str | None, typer.Option(help="dataset.tags_from: auto, annotations, table or masks.")
    ] = None,
    max_megapixels: Annotated[
        float | None,
        typer.Option(help="Refuse larger images undecoded: dataset.max_megapixels."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per core")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON, for programs.")
    ] = False,
) -> None:
    """Check a data set and list all problems.

    Reads every image, tag and mask.

    Exit code 0: fit for training. 2: training would fail.

    --json prints one object: fit, counts, notes, passed_over, and problems with severity and kind.

    \b
    weaktr check-data
    weaktr check-data --kind folder --root my-photos
    weaktr check-data --params params.yaml --val-split test
    """
    from rich.console import Console

    from weaktr.data.checks.check import check_dataset

    given = {
        "kind": kind,
        "root": root,
        "classes": classes,
        "train_split": train_split,
        "val_split": val_split,
        "tags_from": tags_from,
        "max_megapixels": max_megapixels,
    }
    section = dataset_params(params, {k: v for k, v in given.items() if v is not None})
    if section.kind == "shapes" and not any(Path(section.root).glob("*/")):
        if not GENERATED.is_dir():
            raise UserError(
                f"{section.root} has no images: `dvc repro prepare` generates the demo's and "
                "checks them; for your own, give --kind and --root."
            )
        section = section.model_copy(update={"root": GENERATED.as_posix()})
    report = check_dataset(section, workers=workers)
    if as_json:
        typer.echo(json.dumps(as_data(report), indent=2, ensure_ascii=False))
    else:
        show(report, Console())
    raise typer.Exit(2 if report.errors else 0)


def as_data(report: "Report") -> dict[str, Any]:
    """What was found as plain data: the same keys for every data set.

    `fit`: whether training would run. `classes`, `splits`, `together`, `pixels`: counts, as
    `weaktr.data.checks.summary.summarise` has them. `notes`: sentences. `passed_over`: kind ->
    number of files or entries that are not used. `problems`: severity, kind, message and count.
    """
    problems = [
        {"severity": p.severity, "kind": p.kind, "message": p.message, "count": p.count}
        for p in report.problems
    ]
    found = {"fit": not report.errors, **report.summary()}
    return found | {"passed_over": report.passed_over, "problems": problems}


def dataset_params(params_file: Path | None, overrides: Mapping[str, Any]) -> "DatasetParams":
    """The `dataset` section that file and options make together.

    Raises:
        UserError: If a value is not allowed.
    """
    from weaktr.config.load import load_params, parse_params
    from weaktr.data.readers.tags import parse_tags

    if params_file is None and "root" in overrides and "kind" not in overrides:
        raise UserError(
            "--root needs --kind: folder, imagefolder, voc, coco, yolo, cvat or labelstudio."
        )
    if params_file is None and "root" not in overrides:
        params_file = PARAMS_FILE
        if not params_file.is_file():
            raise UserError(
                f"{params_file} does not exist; give --kind and --root, or run from the project's "
                "folder."
            )
    section = {} if params_file is None else load_params(params_file).dataset.model_dump()
    section |= overrides
    if "classes" in overrides:
        section["classes"] = parse_tags(overrides["classes"])
    options = "the options" if params_file is None else f"{params_file} with the options"
    return parse_params({"dataset": section}, options).dataset


def show(report: "Report", console: "Console") -> None:
    """Prints tables, notes, and every problem, errors last."""
    from weaktr.data.checks.summary import tables

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


def _list(console: "Console", title: str, style: str, problems: "list[Problem]") -> None:
    if problems:
        console.print(f"\n{title}: {len(problems)}", style=f"bold {style}")
    for problem in problems:
        console.print(f"  {problem.message}", markup=False, highlight=False, soft_wrap=True)
