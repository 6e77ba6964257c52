"""`python -m stages STAGE`: what dvc.yaml calls. A stage's module is imported when it is run.

The commands are the stages of `dvc.yaml`, with their descriptions.
"""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from stages.common.code_digest import ROOT
from weaktr.errors import one_sentence

PIPELINE = ROOT / "dvc.yaml"
CODE = "code"
"""The stage that digests the code of the others."""

app = typer.Typer(
    help="The stages of the pipeline, each one step of `dvc repro`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ParamsFile = Annotated[Path, typer.Option("--params", help="YAML file with the params.")]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps. Default: runtime.device.")
]
Track = Annotated[bool, typer.Option(help="Record the stage as an MLflow run.")]


def add_stage(name: str, description: str) -> None:
    """Makes a command of a stage."""

    def command(
        params: ParamsFile = Path("params.yaml"), device: Device = None, track: Track = True
    ) -> None:
        from stages.common.runner import run_stage, stage_named

        with one_sentence():
            run_stage(stage_named(name), params_file=params, device=device, track=track)

    app.command(name.replace("_", "-"), help=description)(command)


def add_code_stage(names: list[str], description: str) -> None:
    """Makes a command that writes one digest per stage."""

    def command(output: Annotated[Path, typer.Argument()] = Path("code.json")) -> None:
        from stages.common.code_digest import code_digest
        from weaktr.files import write_json

        with one_sentence():
            write_json(output, {name: code_digest(f"stages.{name}") for name in names})

    app.command(CODE, help=description)(command)


@app.command()
def result() -> None:
    """Show the numbers of the present result, and where to look."""
    from stages.common.paths import METRICS
    from stages.common.terminal import result_text
    from weaktr.files import read_json

    with one_sentence():
        typer.echo(result_text(read_json(METRICS)))


pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
for stage_name, entry in pipeline.items():
    if stage_name == CODE:
        add_code_stage([name for name in pipeline if name != CODE], entry["desc"])
    else:
        add_stage(stage_name, entry["desc"])


if __name__ == "__main__":
    app(prog_name="python -m stages")
