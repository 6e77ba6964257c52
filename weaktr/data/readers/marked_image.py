"""An image as a labelling tool exports it: its tags and regions, and what reading them needs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from weaktr.data.class_words import composed, meaning_of
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import Shape, parse_shape
from weaktr.data.readers.find_files import FileFinder
from weaktr.data.readers.listing import Problem
from weaktr.errors import UserError


@dataclass(kw_only=True)
class MarkedImage:
    """An image as a tool exports it.

    Attributes:
        name: The entry, for messages: `task 7`.
        file: The image below the root.
        split: What the tool calls its split, where it has them.
        size: Width and height in pixels as the tool knows them; `None`: it does not say, and
            shapes are polygons in shares of the image's sides.
        tags: Labels of the whole image.
        regions: Label and shape, later ones on top.
        shapeless: Labels of objects whose pixels are not known: boxes, points.
        complete: Whether all objects are marked, so that without a region all is background.
    """

    name: str
    file: str
    split: str | None = None
    size: tuple[int, int] | None = None
    tags: list[str] = field(default_factory=list)
    regions: list[tuple[str, Shape]] = field(default_factory=list)
    shapeless: list[str] = field(default_factory=list)
    complete: bool = False

    def labels(self) -> tuple[str, ...]:
        """Classes that are in the image, each once."""
        return tuple(label for label in self.all_labels() if is_class(label))

    def all_labels(self) -> tuple[str, ...]:
        """Labels of any sort, each once."""
        regions = (label for label, _ in self.regions)
        return tuple(dict.fromkeys((*self.tags, *regions, *self.shapeless)))


def is_class(label: str) -> bool:
    """Whether a label stands for a class, not for background or void."""
    return meaning_of(label) not in ("background", "void")


def clean_label(label: object, where: str) -> str:
    """A label without outer spaces, in Unicode's composed form.

    Raises:
        UserError: If it is no text, or empty.
    """
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"{where} has a label that is no name; mend it. Got: {label!r}.")
    return composed(label.strip())


def add_file(
    finder: FileFinder, problems: list[Problem], entry: str, names: Sequence[str]
) -> str | None:
    """The image that an entry names; what is wrong with it is noted as a problem.

    Args:
        finder: All images.
        problems: Takes what is wrong.
        entry: The entry, for messages.
        names: Names to try, most telling first.
    """
    try:
        for name in names:
            file = finder.find(name, ("", "images/"))
            if file is not None:
                return file
    except UserError as error:
        problems.append(Problem("error", "duplicate-id", f"{entry} is ambiguous: {error}"))
        return None
    problems.append(
        Problem(
            "error",
            "missing-image",
            f"{entry} names an image that is not below {finder.root}; add it there, or to its "
            f"folder images. Got: {names[0]!r}.",
        )
    )
    return None


def polygon(
    corners: Sequence[float], size: tuple[int, int], name: str, cut: list[str]
) -> Shape | None:
    """A polygon as a shape; `None` if it has no pixels in its image.

    Args:
        corners: `[x0, y0, x1, y1, ...]` in pixels.
        size: Width and height of the image.
        name: The entry.
        cut: Takes the name where the polygon reaches out of the image.

    Raises:
        UserError: As `parse_shape`.
    """
    width, height = size
    parsed = parse_shape([list(corners)], height, width)
    if parsed.remarks:
        cut.append(name)
    return parsed.shape


def by_kind(counts: Counter[str]) -> str:
    """`ellipse 2, video 1`: what was passed over."""
    return ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items()))


def say_cut(source: str, cut: Sequence[str], problems: list[Problem]) -> None:
    """Counts the polygons that reach out of their image."""
    if cut:
        text = (
            f"{source} has polygons that reach out of their image and are cut at its edge: "
            f"{len(cut)} ({some(cut)})."
        )
        problems.append(Problem("warning", "shape-remark", text, len(cut)))
