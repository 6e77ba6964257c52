"""`dataset`: where images and tags come from."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weaktr.config.values import Count, CountOrZero, Real, Section


class ShapesParams(Section):
    """The generated demo data set (`dataset.kind: shapes`)."""

    data_seed: CountOrZero = 7
    train_images: Count = 600
    val_images: Count = 150
    image_side: Annotated[int, Field(ge=32, le=1024, strict=True)] = 96


class DatasetParams(Section):
    """Where images and tags come from."""

    kind: Literal["shapes", "voc", "coco", "folder"] = "shapes"
    root: str = "data/raw/shapes"
    train_split: str = "train"
    val_split: str = "val"
    classes: tuple[str, ...] = ()
    """Subset and order of classes; empty: all that the reader knows."""
    other_classes: Literal["void", "background"] = "void"
    """What pixels of classes outside `classes` become."""
    tags_from: Literal["auto", "annotations", "table", "masks"] = "auto"
    crowd: Literal["void", "keep"] = "void"
    """COCO: crowd regions become void, or keep their class."""
    val_share: Annotated[Real, Field(ge=0, lt=1)] = 0.2
    """Folder without a split column: the share of images held out, chosen by a digest of the id."""
    shapes: ShapesParams = ShapesParams()

    @model_validator(mode="after")
    def _classes_once(self) -> "DatasetParams":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must not name a class twice")
        return self
