"""`weaktr export`: a segmenter for other runtimes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from weaktr.cli.options import Model
from weaktr.errors import UserError


def export(
    model: Model,
    format: Annotated[Literal["onnx"], typer.Option(help="File format.")] = "onnx",
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "model.onnx"
    ),
) -> None:
    """Export a segmenter to ONNX.

    The file is checked against the torch model. Input `images`: float32 [batch, 3, height,
    width], RGB from 0 to 1, any size. Output `logits`: [batch, labels, height, width]. Class names
    are in its metadata.

    Needs the extra `onnx`: pip install 'weaktr[onnx]'

    \b
    weaktr export models/segmenter -o model.onnx
    """
    from weaktr.convert.onnx import export_onnx
    from weaktr.experiments.model_uri import load_named_model
    from weaktr.models.segmenter import Segmenter

    if output.is_dir():
        raise UserError(f"--output {output} is a folder; name a file.")
    loaded = load_named_model(model, Segmenter)
    check = {"onnx": export_onnx}[format](loaded.model, loaded.classes, output)
    typer.echo(
        f"{output}: {output.stat().st_size / 2**20:.1f} MiB; logits differ from the torch model's "
        f"by at most {check.largest_difference:.1e} over inputs of {len(check.shapes)} shapes"
    )
