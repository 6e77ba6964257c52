"""The names of the formats, apart from what writes them: command lines import nothing heavy."""

from typing import Literal

FormatName = Literal["coco", "yolo", "labelstudio", "cvat", "palette"]
