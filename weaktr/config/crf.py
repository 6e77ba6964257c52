"""A dense CRF, in the sections `labels` and `evaluation`."""

from typing import Annotated, Literal

from pydantic import Field

from weaktr.config.values import Count, NonNegative, Positive, Real, Section


class CrfParams(Section):
    """Dense CRF: mean field with a Gaussian and a bilateral kernel (Krähenbühl & Koltun, 2011)."""

    backend: Literal["none", "lattice", "pydensecrf"] = "lattice"
    """`lattice`: in torch, no compiler needed. `pydensecrf`: that package, where it is installed.
    `none`: no CRF."""
    iterations: Count = 10
    """Steps of mean field."""
    confidence: Annotated[Real, Field(gt=0, lt=1)] = 0.7
    """Probability given to a hard label (unused when the input is probabilities)."""
    gaussian_sxy: Positive = 4.0
    """Spatial kernel: its width, in pixels."""
    gaussian_compat: NonNegative = 3.0
    """Spatial kernel: its weight."""
    bilateral_sxy: Positive = 83.0
    """Bilateral kernel: its width in pixels."""
    bilateral_srgb: Positive = 5.0
    """Bilateral kernel: its width in colour, of 255."""
    bilateral_compat: NonNegative = 3.0
    """Bilateral kernel: its weight."""
