"""Options that several commands share."""

from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A folder with model.safetensors and config.json, runs:/<run id>/segmenter (or /cam), "
        "or models:/<name>/<version>.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
