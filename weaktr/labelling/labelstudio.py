"""Label Studio: `tasks.json` with pre-annotations, and `labels.xml`, the labelling interface.

A region is one result: painted pixels (brush), or a polygon for each connected part.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from weaktr.data.brush_rle import encode_brush
from weaktr.labelling.json_lines import write_json_file
from weaktr.labelling.labelled_image import Annotated, Style
from weaktr.labels import VOC_PALETTE

MODEL_VERSION = "weaktr"
_BRUSH, _POLYGON = "brushlabels", "polygonlabels"


def describe(annotated: Annotated, classes: Sequence[str], style: Style) -> dict[str, Any]:
    """The image as a task with one prediction."""
    image = annotated.image
    results: list[dict[str, Any]] = []
    kind = _POLYGON if style.polygons else _BRUSH
    for region in annotated.regions:
        values: list[dict[str, Any]] = []
        if style.polygons:
            sides = (image.width / 100, image.height / 100)
            for polygon in region.polygons():
                values.append({"points": (polygon / sides).tolist(), "closed": True})
        else:
            values.append({"format": "rle", "rle": encode_brush(region.mask)})
        for value in values:
            result = {
                "id": f"region{len(results) + 1}",
                "type": kind,
                "from_name": "label",
                "to_name": "image",
                "original_width": image.width,
                "original_height": image.height,
                "image_rotation": 0,
                "value": {**value, kind: [classes[region.label - 1]]},
            }
            if region.score is not None:
                result["score"] = round(region.score, 4)
            results.append(result)
    prediction: dict[str, Any] = {"model_version": MODEL_VERSION, "result": results}
    if image.score is not None:
        prediction["score"] = round(image.score, 4)
    place = image.name
    if style.image_prefix:
        place = style.image_prefix + quote(place, errors="surrogateescape")
    return {"data": {"image": place, "id": image.id}, "predictions": [prediction]}


def write(described: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path) -> Path:
    """Writes the tasks and the labelling interface."""
    path = folder / "tasks.json"
    tag = "BrushLabels"

    def seen() -> Iterable[dict[str, Any]]:
        nonlocal tag
        for task in described:
            if any(result["type"] == _POLYGON for result in task["predictions"][0]["result"]):
                tag = "PolygonLabels"
            yield task

    write_json_file(path, seen())
    labels = "".join(
        f"    <Label value={quoteattr(name)} background={quoteattr(_colour(index))}/>\n"
        for index, name in enumerate(classes, start=1)
    )
    (folder / "labels.xml").write_text(
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <{tag} name="label" toName="image">\n{labels}  </{tag}>\n</View>\n',
        encoding="utf-8",
        newline="\n",
    )
    return path


def _colour(label: int) -> str:
    return "#" + VOC_PALETTE[label].tobytes().hex()
