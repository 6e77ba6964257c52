"""Kinds of values that params hold, and what all sections have in common."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _number_from_text(value: Any) -> Any:
    """`1e-4` and `3e-05` are strings to PyYAML (YAML 1.1 wants a dot); floats to everybody else."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, bool):
        raise ValueError("Input should be a number, not true or false")
    return value


Real = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
Positive = Annotated[Real, Field(gt=0)]
NonNegative = Annotated[Real, Field(ge=0)]
Count = Annotated[int, Field(ge=1, strict=True)]
CountOrZero = Annotated[int, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Scales = Annotated[tuple[Annotated[Real, Field(gt=0, le=16)], ...], Field(min_length=1)]
Side = Annotated[int, Field(ge=1, le=2**14, strict=True)]
"""Of an image, in pixels."""
MAX_MEGAPIXELS = 160.0
"""Of an image file, unless a larger number is asked for: above the largest cameras (151) and
tiles of 12,000 x 12,000, under what a file of a few kilobytes may unfold to."""
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Precision = Literal["auto", "float32", "tf32", "bfloat16", "float16"]
"""`auto`: bfloat16 on a GPU that has it, else float32. See `weaktr.precision`."""


class Section(BaseModel):
    """A section of params: immutable, and without room for keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
