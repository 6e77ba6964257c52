"""Packages that only some commands need, and which extra brings them."""

from collections.abc import Iterator
from contextlib import contextmanager

from weaktr.errors import UserError

EXTRAS = {
    "crf": ("pydensecrf",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "pipeline": ("dvc", "hydra", "mlflow", "omegaconf", "pandas", "psutil", "torchmetrics"),
    "s3": ("dvc_s3",),
}
"""Extra -> the modules of its packages, as `pyproject.toml` has them."""


@contextmanager
def missing_extra() -> Iterator[None]:
    """Turns a failed import of a module that is in an extra into a sentence that names the extra.

    Raises:
        UserError: In the place of that `ModuleNotFoundError`; any other one passes.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        for extra, modules in EXTRAS.items():
            if module in modules:
                raise UserError(
                    f"this needs the package {module}, which is not installed; run "
                    f"`pip install 'weaktr[{extra}]'`."
                ) from None
        raise
