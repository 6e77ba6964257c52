"""weaktr: weakly-supervised semantic segmentation with plain vision transformers.

In a notebook, two lines: `model = weaktr.load("models/segmenter")`, `model.segment("photo.jpg")`.
Names come from their modules on first use: importing this one loads neither torch nor mlflow.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["CAMModel", "ClassMaps", "Segmentation", "SegmenterModel", "UserError", "load"]

if TYPE_CHECKING:
    from weaktr.api import CAMModel, ClassMaps, Segmentation, SegmenterModel, load
    from weaktr.errors import UserError
else:  # Type checkers would take this `__getattr__` for a promise that every name exists.

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module 'weaktr' has no attribute {name!r}")
        from importlib import import_module

        module = import_module("weaktr.errors" if name == "UserError" else "weaktr.api")
        return globals().setdefault(name, getattr(module, name))

    def __dir__():
        return sorted({*globals(), *__all__})
