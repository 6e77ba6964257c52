"""CVAT for images 1.1: `annotations.xml`, and `labels.json` for the label constructor of a task.

A region is a mask, which holds every pixel and hole, or a polygon for each connected part.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from weaktr.labelling.json_lines import write_json_file
from weaktr.labelling.labelled_image import Annotated, Style
from weaktr.labelling.regions import Region
from weaktr.labels import VOC_PALETTE


def describe(annotated: Annotated, classes: Sequence[str], style: Style) -> tuple[str, str]:
    """Attributes of the image, still without its number, and its shapes."""
    image = annotated.image
    shapes = []
    for region in annotated.regions:
        common = f'label={quoteattr(classes[region.label - 1])} source="auto" occluded="0"'
        if style.polygons:
            for polygon in region.polygons():
                points = ";".join(f"{x:.2f},{y:.2f}" for x, y in polygon.tolist())
                shapes.append(f'    <polygon {common} points="{points}" z_order="0"/>\n')
        else:
            left, top, width, height = region.box
            shapes.append(
                f'    <mask {common} rle="{_row_runs(region)}" left="{left}" top="{top}" '
                f'width="{width}" height="{height}" z_order="0"/>\n'
            )
    attributes = f'name={quoteattr(image.name)} width="{image.width}" height="{image.height}"'
    if image.split:
        attributes = f"{attributes} subset={quoteattr(image.split)}"
    return attributes, "".join(shapes)


def write(described: Iterable[tuple[str, str]], classes: Sequence[str], folder: Path) -> Path:
    """Writes the annotations and the labels."""
    labels = [
        {"name": name, "color": _colour(index), "type": "any", "attributes": []}
        for index, name in enumerate(classes, start=1)
    ]
    write_json_file(folder / "labels.json", labels)
    path = folder / "annotations.xml"
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        stream.write("  <version>1.1</version>\n  <meta>\n    <task>\n")
        stream.write("      <name>weaktr</name>\n      <mode>annotation</mode>\n      <labels>\n")
        for label in labels:
            stream.write(
                f"        <label><name>{escape(str(label['name']))}</name>"
                f"<color>{label['color']}</color><type>any</type><attributes/></label>\n"
            )
        stream.write("      </labels>\n    </task>\n  </meta>\n")
        for number, (attributes, shapes) in enumerate(described):
            stream.write(f'  <image id="{number}" {attributes}>\n{shapes}  </image>\n')
        stream.write("</annotations>\n")
    return path


def _row_runs(region: Region) -> str:
    """Lengths of runs in the region's box, row by row, first those of pixels outside."""
    flat = region.window.reshape(-1)
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    runs = np.diff(ends, prepend=0).tolist()
    return ", ".join(map(str, [0, *runs] if flat[0] else runs))


def _colour(label: int) -> str:
    return "#" + VOC_PALETTE[label].tobytes().hex()
