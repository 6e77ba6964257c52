"""`weaktr report`: the report of the present result once more, with versions and commit."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from weaktr.errors import UserError

MADE = Path("reports/report/report.html")


def report(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page to write.", dir_okay=False)
    ] = Path("reports/report.html"),
) -> None:
    """Remake the report of the present result, with versions and commit.

    Nothing is computed again but the CAMs of the few images that it shows. The copy under DVC holds
    neither versions nor commit, so that equal results stay equal files.

    \b
    weaktr report
    weaktr report --output result.html
    """
    from weaktr.files import write_text
    from weaktr.report.machine import machine_facts
    from weaktr.report.page import with_facts

    if not (Path("dvc.yaml").is_file() and Path("stages").is_dir()):
        raise UserError("there is no pipeline in this folder; run from the project's folder.")
    done = subprocess.run(
        [sys.executable, "-m", "stages", "report", "--no-track"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"{(done.stderr or done.stdout).strip().removeprefix('Error: ')}")
    write_text(output, with_facts(MADE.read_text(encoding="utf-8"), machine_facts(Path())))
    typer.echo(output.as_posix())
