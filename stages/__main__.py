"""`python -m stages STAGE`: what dvc.yaml calls. Stage modules are imported when they are run."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

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
Supervised = Annotated[
    bool, typer.Option("--supervised", help="The reference that learns from true masks.")
]

DEFAULT_PARAMS = Path("params.yaml")


@app.command()
def prepare(
    params: ParamsFile = DEFAULT_PARAMS, device: Device = None, track: Track = True
) -> None:
    """Index the images and tags of a data set into one manifest (or generate the demo's)."""
    from stages import prepare as stage
    from stages.runner import run_stage

    run_stage("prepare", stage.run, params_file=params, device=device, track=track)


@app.command()
def train_cam(
    params: ParamsFile = DEFAULT_PARAMS, device: Device = None, track: Track = True
) -> None:
    """Train the CAM network on image-level tags."""
    from stages import train_cam as stage
    from stages.runner import run_stage

    run_stage("train_cam", stage.run, params_file=params, device=device, track=track)


@app.command()
def export_labels(
    params: ParamsFile = DEFAULT_PARAMS, device: Device = None, track: Track = True
) -> None:
    """Turn CAMs into one pseudo-label per training image."""
    from stages import export_labels as stage
    from stages.runner import run_stage

    run_stage("export_labels", stage.run, params_file=params, device=device, track=track)


@app.command()
def train_decoder(
    params: ParamsFile = DEFAULT_PARAMS,
    device: Device = None,
    track: Track = True,
    supervised: Supervised = False,
) -> None:
    """Train the segmenter on pseudo-labels (or, for the reference, on true masks)."""
    from stages import train_decoder as stage
    from stages.runner import run_stage

    name = "train_supervised" if supervised else "train_decoder"
    run = partial(stage.run, supervised=supervised)
    run_stage(name, run, params_file=params, device=device, track=track)


@app.command()
def evaluate(
    params: ParamsFile = DEFAULT_PARAMS,
    device: Device = None,
    track: Track = True,
    supervised: Supervised = False,
) -> None:
    """Score the segmenter and write its masks and the report."""
    from stages import evaluate as stage
    from stages.runner import run_stage

    name = "evaluate_supervised" if supervised else "evaluate"
    run = partial(stage.run, supervised=supervised)
    run_stage(name, run, params_file=params, device=device, track=track)


if __name__ == "__main__":
    app(prog_name="python -m stages")
