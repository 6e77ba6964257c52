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
    if changed := changed_params(Path("dvc.lock"), Path("params.yaml")):
        named = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if changed[3:] else "")
        raise UserError(
            f"params.yaml has other values than the present result ({named}), and its report would "
            "show them; run `dvc repro`, or put them back."
        )
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


def changed_params(lock: Path, params: Path) -> list[str]:
    """Params whose value is not that with which the report was made; none where that is unknown.

    Args:
        lock: What DVC recorded.
        params: The params as they are now.
    """
    import yaml

    from weaktr.experiments.recipes import flatten

    try:
        recorded = yaml.safe_load(lock.read_text(encoding="utf-8"))
        then = flatten(recorded["stages"]["report"]["params"][params.name])
        now = flatten(yaml.safe_load(params.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return []
    sections = {key.partition(".")[0] for key in then}
    keys = {**then, **{key: None for key in now if key.partition(".")[0] in sections}}
    return [key for key in keys if then.get(key) != now.get(key)]
