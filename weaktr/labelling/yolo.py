"""YOLO's segmentation labels: `labels/<image>.txt` and `data.yaml`.

A line is one connected part: the class, from 0, and the corners of its polygon as shares of the
image's sides. Holes are joined to the outline by a seam, as the format has none.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from weaktr.data.readers.find_files import without_suffix
from weaktr.labelling.labelled_image import Annotated, Style

Text = tuple[str, str, str]
"""Split, name of the image without suffix, and the text of its file."""


def describe(annotated: Annotated, classes: Sequence[str], style: Style) -> Text:
    """The file of an image; empty where it has no region."""
    image = annotated.image
    sides = (image.width, image.height)
    lines = []
    for region in annotated.regions:
        for polygon in region.polygons():
            numbers = " ".join(f"{share:.6f}" for share in (polygon / sides).ravel().tolist())
            lines.append(f"{region.label - 1} {numbers}\n")
    return image.split, without_suffix(image.name), "".join(lines)


def write(described: Iterable[Text], classes: Sequence[str], folder: Path) -> Path:
    """Writes the files, below a folder for each split, and the list of classes."""
    splits: dict[str, str] = {}
    for split, name, text in described:
        splits[split] = f"images/{split}".rstrip("/")
        path = folder / "labels" / split / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii", newline="\n")
    any_split = next(iter(splits.values()))
    content = {
        "train": splits.get("train", any_split),
        "val": splits.get("val", any_split),
        "names": dict(enumerate(classes)),
    }
    path = folder / "data.yaml"
    path.write_text(
        yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8", newline="\n"
    )
    return path
