"""A sound folder data set of five images, for the tests of what is found in it."""

from pathlib import Path
from typing import Any

from weaktr.config.dataset import DatasetParams

SOUND = {
    "a.jpg": "cat,train",
    "b.jpg": "dog;cat,train",
    "c.jpg": "dog,val",
    "d.jpg": "cat,val",
    "e.jpg": "dog,train",
}
HEADER = "image,tags,split"


def params(root: Path, **changes: Any) -> DatasetParams:
    """The params of a folder data set, with changes."""
    return DatasetParams(**{"kind": "folder", "root": str(root), **changes})
