"""What `mlflow models serve` runs: images in, masks out, both as files in base64.

`docs/api.md` has the command line of a request.
"""

import base64
import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from weaktr.api import SegmenterModel, load
from weaktr.data.images import PixelLimit, open_image
from weaktr.data.masks import write_mask
from weaktr.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


class ServedSegmenter:
    """A segmenter that takes and gives tables, as MLflow's models do.

    Args:
        model: The segmenter.
    """

    def __init__(self, model: SegmenterModel) -> None:
        self.model = model

    def predict(self, rows: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """Segments one image per row.

        Args:
            rows: `image`, an image file in base64, and, where they are known, `tags`: the classes
                that may be found (`cat;dog`).
            params: Not used.

        Returns:
            `mask`, a palette PNG at the image's size in base64; `classes`, the names of what was
            found (`cat;dog`); `confidence`, the mean probability of the labels.

        Raises:
            MlflowException: If a row cannot be used; servers answer it as a bad request.
        """
        import pandas as pd
        from mlflow.exceptions import MlflowException

        try:
            found = [self._segment(row) for row in rows.to_dict("records")]
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        return pd.DataFrame(found)

    def _segment(self, row: dict[Any, Any]) -> dict[str, Any]:
        tags = row.get("tags")
        if isinstance(tags, float) or not tags:  # NaN: another row has tags, this one has none
            tags = None
        result = self.model.segment(_decoded(row["image"]), tags=tags)
        stream = io.BytesIO()
        write_mask(stream, result.labels)
        return {
            "mask": base64.b64encode(stream.getvalue()).decode(),
            "classes": ";".join(name for name in result.shares if name != "background"),
            "confidence": float(result.confidence.mean()),
        }


def _decoded(value: Any) -> Image.Image:
    """An image from the bytes of a file, or from these in base64."""
    try:
        if not isinstance(value, str | bytes):
            raise ValueError(value)
        data = value if isinstance(value, bytes) else base64.b64decode(value, validate=True)
        image = open_image(data, "an image", PixelLimit())
        image.load()
    except UserError:
        raise
    except Exception:  # PIL's decoders raise anything
        raise UserError("the column image must hold image files in base64, one per row.") from None
    return image


def _load_pyfunc(path: str) -> ServedSegmenter:
    """What MLflow calls with the folder of the model."""
    model = load(path)
    assert isinstance(model, SegmenterModel), "only segmenters are logged as models"
    return ServedSegmenter(model)
