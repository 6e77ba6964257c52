"""A dense CRF, in the sections `labels` and `evaluation`."""

from typing import Annotated, Literal

from pydantic import Field

from weaktr.config.values import Count, NonNegative, Positive, Real, Section


class CrfParams(Section):
    """Dense CRF: mean field with a Gaussian and a bilateral kernel (Krähenbühl & Koltun, 2011)."""

    backend: Literal["none", "lattice", "pydensecrf"] = "lattice"
    iterations: Count = 10
    confidence: Annotated[Real, Field(gt=0, lt=1)] = 0.7
    """Probability given to a hard label (unused when the input is probabilities)."""
    gaussian_sxy: Positive = 4.0
    gaussian_compat: NonNegative = 3.0
    bilateral_sxy: Positive = 83.0
    bilateral_srgb: Positive = 5.0
    bilateral_compat: NonNegative = 3.0
