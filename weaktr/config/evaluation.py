"""`evaluation`: how the segmenter is run and scored."""

from typing import Annotated

from pydantic import Field, model_validator

from weaktr.config.crf import CrfParams
from weaktr.config.values import Count, Flag, NonNegative, Precision, Scales, Section, Side


class EvaluationParams(Section):
    """Sliding-window inference and scores."""

    split: str = "val"
    """What is segmented and, where there are masks, scored: train, val or test."""
    window: Annotated[int, Field(ge=16, strict=True)] = 480
    """Side of the sliding windows, in pixels; as large as `decoder.crop_size`."""
    stride: Count = 320
    """Step of the windows, in pixels; at most `window`."""
    short_side: Side | None = None
    """Short side of an image at scale 1 (published: 520); null: the image's own."""
    scales: Scales = (1.0,)
    """Sizes of the image, times `short_side`, whose results are averaged."""
    flip: Flag = True
    """Average with the mirrored image too."""
    early_weight: NonNegative = 0.0
    """Weight of the masks read before the mask transformer's last block, added to the final ones'
    1. The published evaluation uses 0.8."""
    precision: Precision = "float32"
    """Of the segmenter, as `decoder.precision`: 16 bits are faster, and change some pixels."""
    crf: CrfParams = CrfParams(backend="none", gaussian_sxy=3.0)
    save_masks: Flag = True
    """Write the masks to data/predictions."""
    voc_archive: Flag = False
    """Also pack the masks as VOC's evaluation server takes them, for `split: test`."""

    @model_validator(mode="after")
    def _stride_fits(self) -> "EvaluationParams":
        if self.stride > self.window:
            raise ValueError(
                f"stride ({self.stride}) must not exceed window ({self.window}), "
                "else pixels between windows are never seen"
            )
        return self
