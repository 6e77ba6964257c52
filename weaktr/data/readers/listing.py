"""What a reader finds out from names and tables alone, before any pixel is read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from weaktr.data.masks import read_mask
from weaktr.labels import Pixels

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a data set.

    Attributes:
        severity: `error` where a stage would fail or learn from wrong data, else `warning`.
        kind: Short name of the sort of problem, for grouping.
        message: One sentence: what, where, what to do.
        count: How many files or entries it is about.
    """

    severity: Severity
    kind: str
    message: str
    count: int = 1


class MaskSource(Protocol):
    """Where the mask of an image comes from."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, where they are known without reading."""

    def read(self) -> Pixels:
        """Ids `[H, W]`, uint8, before any remapping."""


@dataclass(frozen=True, slots=True)
class StoredMask:
    """A mask file."""

    path: str

    @property
    def size(self) -> tuple[int, int] | None:
        """Not known before the file is read."""
        return None

    def read(self) -> Pixels:
        """Ids `[H, W]`, uint8, as stored."""
        return read_mask(self.path)


@dataclass(frozen=True, slots=True)
class Entry:
    """An image as a reader lists it.

    Attributes:
        id: Name of the image, safe as a file name.
        image: Path of the image file, as `Record.image`.
        split: `train`, `val` or `test`.
        tags: Classes in the image, in class-list order; `None`: not known (a test image).
        mask: Its mask, where there is one.
    """

    id: str
    image: str
    split: str
    tags: tuple[str, ...] | None
    mask: MaskSource | None = None


@dataclass
class Listing:
    """A data set as a reader lists it.

    Attributes:
        classes: Class names in the order of mask ids.
        entries: Images in the order of the split lists.
        mask_ids: Id in stored masks -> id in class-list order, for every class of the source
            that is kept.
        other_ids: Ids in stored masks of classes that are left out.
        other_becomes: What pixels with those ids become.
        problems: What is wrong already.
        notes: Where things came from, one sentence each.
        passed_over: What was left out without being a problem -> how many files or entries.
    """

    classes: tuple[str, ...]
    entries: list[Entry]
    mask_ids: Mapping[int, int]
    other_ids: frozenset[int] = frozenset()
    other_becomes: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def keeps_ids(self) -> bool:
        """Whether stored masks already have the class list's ids."""
        return not self.other_ids and all(old == new for old, new in self.mask_ids.items())

    def error(self, kind: str, message: str) -> None:
        """Notes a problem with which a stage would fail."""
        self.problems.append(Problem("error", kind, message))

    def warn(self, kind: str, message: str, *, count: int = 1) -> None:
        """Notes a problem with which stages still run."""
        self.problems.append(Problem("warning", kind, message, count))

    def left_out(self, kind: str, count: int, message: str) -> None:
        """Notes what was left out by a rule."""
        self.passed_over[kind] += count
        self.notes.append(message)
