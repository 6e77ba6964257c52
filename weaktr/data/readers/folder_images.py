"""Images of the folder layout as a table names them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weaktr.data.readers.find_files import FileFinder, without_suffix
from weaktr.data.readers.listing import Problem
from weaktr.data.readers.splits import split_named
from weaktr.data.readers.tags import TagRow
from weaktr.data.wording import some
from weaktr.errors import UserError


@dataclass(frozen=True, slots=True)
class FolderImage:
    """An image below the root, and what is said about it (`None`: nothing)."""

    file: str
    tags: tuple[str, ...] | None
    split: str | None
    mask: str | None


@dataclass(frozen=True)
class Places:
    """Where images and masks lie below a root.

    Attributes:
        finder: All files below the root.
        images: Folder of the images with a slash, or nothing.
        masks: Folder of the masks with a slash.
    """

    finder: FileFinder
    images: str
    masks: str

    @classmethod
    def of(cls, finder: FileFinder) -> "Places":
        """The folders `images` and `masks` of a root, in whatever capitals.

        Raises:
            UserError: If one is there in two spellings.
        """
        tops = sorted({file.split("/")[0] for file in finder.files if "/" in file})
        images, masks = (_only(finder.root, tops, name) for name in ("images", "masks"))
        return cls(finder, f"{images}/" if images else "", f"{masks or 'masks'}/")

    def is_mask(self, file: str) -> bool:
        """Whether it lies in the folder of the masks."""
        return file.startswith(self.masks)

    def mask_beside(self, image: str) -> str | None:
        """The mask that has the image's path below `images` (or below the root)."""
        return self.finder.find(self.masks + without_suffix(image.removeprefix(self.images)))


def _only(root: Path, tops: Sequence[str], name: str) -> str | None:
    found = [top for top in tops if top.casefold() == name]
    if len(found) > 1:
        raise UserError(f"{root} has the folders {' and '.join(found)}; merge or rename one.")
    return found[0] if found else None


def images_of_table(
    places: Places,
    rows: Sequence[TagRow],
    table: Path,
    splits: Mapping[str, str],
    problems: list[Problem],
) -> list[FolderImage]:
    """Images that a table names; what cannot be used is noted as a problem."""
    finder = places.finder
    images: dict[str, FolderImage] = {}
    has_splits = any(row.split for row in rows)
    renamed: Counter[tuple[str, str]] = Counter()

    def error(kind: str, row: TagRow, text: str) -> None:
        problems.append(Problem("error", kind, f"{table} line {row.line} {text}"))

    for row in rows:
        try:
            file = finder.find(row.image, ("", places.images))
            mask = None
            if row.mask:
                mask = finder.find(row.mask, (places.masks, "", places.images))
            elif row.mask is None and file is not None:
                mask = places.mask_beside(file)
        except UserError as ambiguity:
            error("duplicate-id", row, f"is ambiguous: {ambiguity}")
            continue
        if file is None:
            kind = finder.find_unread(row.image, ("", places.images))
            error(
                "missing-image",
                row,
                f"names a {kind} picture, which is not read; convert it to JPEG or PNG. Got: "
                f"{row.image!r}."
                if kind
                else f"names an image that is not below {finder.root} (JPEG, PNG, WebP, BMP or "
                f"TIFF); add it or remove the line. Got: {row.image!r}.",
            )
            continue
        if row.mask and mask in (None, file):
            mask = None
            kind = finder.find_unread(row.mask, (places.masks, "", places.images))
            error(
                "missing-mask",
                row,
                f"names a {kind} picture as mask, which is not read; convert it to PNG. Got: "
                f"{row.mask!r}."
                if kind
                else f"names a mask that is not below {finder.root}; add it or leave the cell "
                f"empty. Got: {row.mask!r}.",
            )
        split = split_named(row.split, splits) if row.split else None
        if file in images:
            error(
                "duplicate-id",
                row,
                f"names an image a second time; merge the rows. Got: {row.image!r}.",
            )
            if row.split and split != images[file].split:
                error(
                    "two-splits",
                    row,
                    f"puts an image into a second split; keep one. Got: {row.image!r} in "
                    f"{row.split!r}.",
                )
            continue
        if has_splits and split is None:
            error(
                "unknown-split",
                row,
                f"has a split that is none of {', '.join(splits)}; mend it, or "
                f"set dataset.train_split and dataset.val_split. Got: {row.split!r}.",
            )
            continue
        if row.split and split and row.split not in splits:
            renamed[row.split, split] += 1
        images[file] = FolderImage(file, row.tags, split, mask)
    for (name, split), number in renamed.items():
        text = f"{table} has the split {name!r}, taken for {split}, in {number} rows."
        problems.append(Problem("warning", "split-name", text))
    masks = Counter(image.mask for image in images.values() if image.mask)
    if shared := [mask for mask, number in masks.items() if number > 1]:
        text = (
            f"{table} gives one mask to several images: {some(shared, 'mask')}; check these rows."
        )
        problems.append(Problem("warning", "shared-mask", text, len(shared)))
    _count_unnamed(places, rows, images, table, problems)
    return list(images.values())


def _count_unnamed(
    places: Places,
    rows: Sequence[TagRow],
    images: Mapping[str, FolderImage],
    table: Path,
    problems: list[Problem],
) -> None:
    """Images without a row, and masks without an image."""
    finder = places.finder
    masks = {image.mask for image in images.values() if image.mask}
    named = {finder.find(row.mask, (places.masks, "", places.images)) for row in rows if row.mask}
    left = [
        file
        for file in finder.files
        if file not in images and file not in masks and file not in named
    ]
    if spare := [file for file in left if not places.is_mask(file)]:
        text = f"{table} has no row for {some(spare)}, which stay out; add rows to use them."
        problems.append(Problem("warning", "no-row", text, len(spare)))
    count_spare_masks(places, [file for file in left if places.is_mask(file)], problems)


def count_spare_masks(places: Places, spare: Sequence[str], problems: list[Problem]) -> None:
    """Notes masks that belong to no image."""
    if spare:
        text = (
            f"{some(spare, 'mask')} of {places.finder.root} belong to no image, and are not used; "
            "a mask has its image's path and name."
        )
        problems.append(Problem("warning", "spare-mask", text, len(spare)))
