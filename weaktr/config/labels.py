"""`labels`: from CAMs to pseudo-labels."""

from typing import Annotated, Literal

from pydantic import Field

from weaktr.config.crf import CrfParams
from weaktr.config.values import Count, Flag, Precision, Real, Scales, Section


class LabelParams(Section):
    """CAMs to pseudo-labels."""

    scales: Scales = (1.0, 1.2)
    """Sizes of the image, times its own, whose CAMs are added."""
    flip: Flag = True
    """Add the CAMs of the mirrored image too."""
    long_side: Count | None = None
    """Larger images are shrunk to this long side first; their labels are enlarged again."""
    affinity: Flag = True
    """Propagate the fused CAM by the patch-to-patch affinity."""
    background_score: Annotated[Real, Field(gt=0, lt=1)] | Literal["sweep"] = 0.43
    """A fixed score, or `sweep`: the best one by *training masks*, as the published code does."""
    precision: Precision = "float32"
    """Of the CAM network, as `cam.precision`: 16 bits are faster, and change some pixels."""
    crf: CrfParams = CrfParams()
