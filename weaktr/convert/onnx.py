"""Export of a segmenter to ONNX, checked against the torch model with onnxruntime."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from weaktr.errors import UserError
from weaktr.files import replace_file
from weaktr.models.segmenter import Segmenter

TOLERANCE = 1e-3
"""Largest difference of a logit that passes; logits are normalised over classes, so about 1."""


class ExportCheck(NamedTuple):
    """How far the ONNX model is from the torch model."""

    largest_difference: float
    """Of a logit, over all shapes."""
    shapes: tuple[tuple[int, int, int], ...]
    """Batch, height and width of the inputs that were compared."""


class NormalizedSegmenter(nn.Module):
    """A segmenter that takes RGB values from 0 to 1 and normalises them itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(model.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(model.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, K, H, W]` of images `[B, 3, H, W]`."""
        return self.model((images - self.mean) / self.std)


def export_onnx(model: Segmenter, classes: Sequence[str], path: Path) -> ExportCheck:
    """Writes one `.onnx` file with free batch, height and width, after comparing it with torch.

    Input `images`: float32 `[B, 3, H, W]`, RGB from 0 to 1. Output `logits`: float32
    `[B, K, H, W]`, K = background and classes. H and W need not be multiples of the patch: the
    padding is part of the graph. Position embeddings are resampled to every input; the torch model
    leaves them alone for non-square inputs with exactly as many patches as its training crop, and
    only there do the two differ.

    Args:
        model: In evaluation mode, on the CPU.
        classes: Names without background; they go into the file's metadata.
        path: The file; it appears when it has passed.

    Raises:
        UserError: If the packages are missing, or the two models disagree.
    """
    onnx, runtime = _packages()
    wrapped = NormalizedSegmenter(model).eval()
    side = model.patch_size * (model.encoder.position_grid[0] + 1) + 1
    example = torch.rand(2, 3, side, side + model.patch_size)
    free = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            wrapped,
            (example,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: free, 2: free, 3: free},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    exported = program.model_proto
    _name_axes(exported, ("batch", "height", "width"))
    onnx.helper.set_model_props(exported, _description(model, classes))
    onnx.checker.check_model(exported, full_check=True)
    with replace_file(path) as temporary:
        onnx.save(exported, temporary)
        check = compare(wrapped, runtime.InferenceSession(temporary, providers=[PROVIDER]))
        if not check.largest_difference <= TOLERANCE:
            raise UserError(
                f"the exported model's logits differ from the torch model's by up to "
                f"{check.largest_difference:.1e}, more than {TOLERANCE:.0e}; report this, with the "
                "backbone's name."
            )
    return check


PROVIDER = "CPUExecutionProvider"


@torch.inference_mode()
def compare(model: NormalizedSegmenter, session: Any) -> ExportCheck:
    """Runs both on random images: of the training crop, wider, smaller, larger, and very small.

    Args:
        model: In evaluation mode, on the CPU.
        session: onnxruntime's, of the exported model.
    """
    patch = model.model.patch_size
    crop = patch * model.model.encoder.position_grid[0]
    shapes = (
        (1, crop, crop),
        (2, crop, crop + 3 * patch),
        (3, max(1, crop // 2 + 3), crop + 1),
        (1, crop + patch + 5, crop + 2 * patch),
        (1, patch // 2, patch // 2 + 1),
    )
    draw = torch.Generator().manual_seed(0)
    largest = 0.0
    for batch, height, width in shapes:
        images = torch.rand(batch, 3, height, width, generator=draw)
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        difference = (torch.from_numpy(logits) - model(images)).abs().max().item()
        largest = max(largest, difference)
    return ExportCheck(largest, shapes)


def _packages() -> tuple[Any, Any]:
    """onnx and onnxruntime."""
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 (torch's exporter needs it)
    except ImportError as error:
        raise UserError(
            f"export to ONNX needs the package {error.name}; run `pip install 'weaktr[onnx]'`, or "
            "`pip install onnx onnxruntime onnxscript`."
        ) from None
    return onnx, onnxruntime


def _name_axes(exported: Any, names: Sequence[str]) -> None:
    """Calls the free axes of input and output by what they are."""
    for value in (*exported.graph.input, *exported.graph.output):
        axes = value.type.tensor_type.shape.dim
        for axis, name in zip((axes[0], axes[2], axes[3]), names, strict=True):
            axis.dim_param = name


def _description(model: Segmenter, classes: Sequence[str]) -> dict[str, str]:
    """What a user of the file must know, as ONNX metadata."""
    from weaktr import __version__

    return {
        "weaktr.version": __version__,
        "weaktr.labels": json.dumps(["background", *classes], ensure_ascii=False),
        "weaktr.input": "images: float32 [batch, 3, height, width], RGB from 0 to 1",
        "weaktr.output": "logits: float32 [batch, labels, height, width]",
        "weaktr.crop_size": str(model.params.crop_size),
    }
