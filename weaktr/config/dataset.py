"""`dataset`: where images and tags come from."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from weaktr.config.values import MAX_MEGAPIXELS, Count, CountOrZero, Positive, Real, Section


def _composed(name: str) -> str:
    """The name as class lists have it: in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


Share = Annotated[Real, Field(ge=0, le=1)]
Factor = Annotated[Real, Field(gt=0, le=2)]


class TroubleParams(Section):
    """Known troubles of weak supervision, to be switched on one at a time; all off in the demo.

    Context, hues and tags leave places and shapes of a scene as they are.
    """

    context: Share = 0.0
    """Share of objects that stand on their class's own scenery, which is background (a train and
    its rails)."""
    evidence_size: Factor = 1.0
    """Size of the part that tells the class, against the demo's; the body keeps its own."""
    hue_range: Annotated[Real, Field(gt=0, le=1)] = 1.0
    """How much of the colour circle the classes share out: the less, the more they look alike."""
    object_size: Annotated[Real, Field(ge=0.2, le=2)] = 1.0
    """Size of objects against the demo's; patches keep theirs. Smaller ones would be all border."""
    crowd: Annotated[int, Field(ge=0, le=30, strict=True)] = 0
    """Most objects in an image, all of one class; 0: one to three, each of any class."""
    missing_tags: Share = 0.0
    """Share of the training images' tags that are left out; an image keeps at least one."""
    wrong_tags: Share = 0.0
    """Share of the training images' tags that are replaced by a class that is not there."""


class ShapesParams(Section):
    """The generated demo data set (`dataset.kind: shapes`)."""

    data_seed: CountOrZero = 7
    """Which data set is drawn; `seed` is the training's."""
    train_images: Count = 600
    """Number of training images."""
    val_images: Count = 150
    """Number of validation images."""
    image_side: Annotated[int, Field(ge=32, le=1024, strict=True)] = 96
    """Side of the square images, in pixels."""
    trouble: TroubleParams = TroubleParams()


class DatasetParams(Section):
    """Where images and tags come from."""

    kind: Literal[
        "shapes", "voc", "coco", "folder", "labelstudio", "cvat", "imagefolder", "yolo"
    ] = "shapes"
    """Layout of the data: `shapes` is the generated demo; docs/data.md has the others."""
    root: str = "data/raw/shapes"
    """Folder of the data set (for `shapes`: an empty one)."""
    train_split: str = "train"
    """The data set's name for what is trained on: a list of VOC, a word in COCO's file names, a
    value of the column `split`."""
    val_split: str = "val"
    """The same for what is held out."""
    classes: tuple[Annotated[str, AfterValidator(_composed)], ...] = ()
    """Subset and order of classes; empty: all that the reader knows."""
    other_classes: Literal["void", "background"] = "void"
    """What pixels of classes outside `classes` become."""
    tags_from: Literal["auto", "annotations", "table", "masks"] = "auto"
    """Where tags come from. `auto`: annotations, else the table, else the masks, and it says which;
    `masks` is for studies, as it needs masks of the training images."""
    crowd: Literal["void", "keep"] = "void"
    """COCO: crowd regions become void, or keep their class."""
    val_share: Annotated[Real, Field(ge=0, lt=1)] = 0.2
    """Folder without a split column: the share of images held out, chosen by a digest of the id."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Larger images are refused before they are decoded: a small file may unfold to gigabytes."""
    shapes: ShapesParams = ShapesParams()

    @model_validator(mode="after")
    def _classes_once(self) -> "DatasetParams":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must not name a class twice")
        return self
