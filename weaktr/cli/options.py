"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from weaktr.errors import UserError

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


def check_png(output: Path) -> None:
    """Refuses what cannot be the name of a picture.

    Raises:
        UserError: If it is a folder, or does not end in `.png`.
    """
    if output.is_dir():
        raise UserError(f"--output {output} is a folder; name a file.")
    if output.suffix.lower() != ".png":
        raise UserError(f"--output {output} gets a PNG; let its name end in .png.")


def check_classes(model: str, known: Sequence[str], data: Path, wanted: Sequence[str]) -> None:
    """Refuses a model that did not learn the classes of the data.

    Args:
        model: As it was named.
        known: Its classes.
        data: Folder of the manifest.
        wanted: The manifest's classes.

    Raises:
        UserError: If they differ, in name or order.
    """
    if tuple(known) != tuple(wanted):
        raise UserError(
            f"{model} knows other classes ({', '.join(known[:5])}...) than {data} "
            f"({', '.join(wanted[:5])}...); name the model and the data that belong together."
        )
