"""`weaktr export`."""

from pathlib import Path
from typing import Literal

from weaktr.errors import UserError
from weaktr.model_uri import load_named_model
from weaktr.onnx_export import export_onnx


def run(model: str, file_format: Literal["onnx"], output: Path) -> str:
    """Exports a segmenter.

    Returns:
        A sentence about the file.
    """
    if output.is_dir():
        raise UserError(f"--output {output} is a folder; name a file.")
    loaded = load_named_model(model, "cpu", kind="segmenter")
    check = {"onnx": export_onnx}[file_format](loaded.model, loaded.classes, output)
    return (
        f"{output}: {output.stat().st_size / 2**20:.1f} MiB; logits differ from the torch model's "
        f"by at most {check.largest_difference:.1e} over inputs of {len(check.shapes)} shapes"
    )
