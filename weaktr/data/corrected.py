"""Masks that a person corrected, one PNG per training image, to be learned from as they are.

They are looked at as closely as a data set's own masks: what would teach the wrong thing is refused
before training begins.
"""

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from weaktr.data.images import (
    IMAGE_SUFFIXES,
    inspect_image,
    orientation_for,
    read_bytes,
    upright,
)
from weaktr.data.manifest import Manifest, Record
from weaktr.data.mask_facts import MaskFacts, inspect_mask, renumbered, two_ids_of_a_colour
from weaktr.data.masks import read_mask
from weaktr.data.readers.walk import is_system_file
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID, Pixels

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
BESIDE_MASKS = frozenset({".txt", ".csv", ".json", ".xml", ".yaml", ".yml", ".md", ".html"})
"""Files that labelling tools put beside masks."""


@dataclass(frozen=True, slots=True)
class CorrectedMask:
    """The mask of one training image.

    Attributes:
        path: Its file.
        orientation: EXIF orientation (1 to 8) by which it is still to be turned upright.
        ids: The ids in it, ascending.
    """

    path: str
    orientation: int
    ids: tuple[int, ...]

    def read(self) -> Pixels:
        """Ids `[H, W]` on the image as shown."""
        return turned_mask(self.path, self.orientation)


def turned_mask(path: str | Path, orientation: int) -> Pixels:
    """Ids `[H, W]` of a mask file, turned by an EXIF orientation (1: as it is)."""
    ids = read_mask(path)
    return ids if orientation == 1 else np.array(upright(Image.fromarray(ids), orientation))


def find_corrected(folder: str | Path, manifest: Manifest) -> dict[str, CorrectedMask]:
    """The corrected masks in a folder, by image id.

    A mask is called `<image id>.png`, or like its image file with or without that one's suffix.
    Files of systems and tools, and text beside the masks, are passed over.

    Args:
        folder: Holds the masks directly.
        manifest: All images, of every split.

    Raises:
        UserError: If the folder is missing or has no mask, or a mask is no PNG, names no image or
            one that is not trained on, is the second one of its image, has another size, or holds
            ids that are no class or may be any; if a colour has two ids in two masks; or if most
            masks show classes that their images' tags lack.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; make it, and lay the corrected masks in it.")
    names = ImageNames(manifest)
    found: dict[str, CorrectedMask] = {}
    looked: list[tuple[str, MaskFacts]] = []
    for path in mask_files(folder):
        record = names.record_of(path)
        if record.id in found:
            raise UserError(
                f"{path} is a second mask of the image {record.id}; remove it or "
                f"{found[record.id].path}."
            )
        facts = inspect_mask(path)
        found[record.id] = _checked(path, facts, record, manifest.classes)
        looked.append((path.as_posix(), facts))
    if not found:
        raise UserError(f"{folder} has no masks; lay PNG files in it, named after their images.")
    if contradiction := two_ids_of_a_colour(looked):
        raise UserError(f"{contradiction}.")
    beyond = beyond_tags(found, manifest)
    if len(beyond) > 2 and 2 * len(beyond) > len(found):
        raise UserError(
            f"{folder}: {len(beyond)} of {len(found)} masks show classes that their images' tags "
            f"lack, such as {found[beyond[0]].path}; their ids may be those of another class list "
            f"(here: {_class_ids(manifest.classes)})."
        )
    return found


def mask_files(folder: Path) -> Iterator[Path]:
    """The PNG files of a folder, by name.

    Raises:
        UserError: If it holds other images, images in sub-folders, or files of unknown kinds.
    """
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if is_system_file(path.name):
            continue
        if path.is_dir():
            if any(inner.suffix.lower() in IMAGE_SUFFIXES for inner in path.rglob("*")):
                raise UserError(
                    f"{path} is a folder with images; lay the masks directly in {folder}."
                )
        elif suffix == ".png":
            yield path
        elif suffix not in BESIDE_MASKS:
            raise UserError(
                f"{path} is no PNG file; corrected masks are PNG, which keeps ids exactly as they "
                "are. Save it as PNG, or remove it."
            )


def beyond_tags(masks: Mapping[str, CorrectedMask], manifest: Manifest) -> list[str]:
    """Ids of the images whose mask shows a class that their tags lack."""
    return [
        record.id
        for record in manifest
        if record.id in masks
        and {manifest.classes[i - 1] for i in masks[record.id].ids if BACKGROUND < i < VOID}
        - set(record.tags)
    ]


class ImageNames:
    """Images by what their masks may be called: ids, or names of files.

    Args:
        manifest: All images.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.by_id = {_composed(record.id): record for record in manifest}
        self.by_file: dict[str, list[Record]] = {}
        for record in manifest:
            file = PurePosixPath(_composed(record.image))
            for name in {file.name, file.stem}:
                self.by_file.setdefault(name, []).append(record)

    def record_of(self, path: Path, *, by_folders: bool = False) -> Record:
        """The training image that a file is named after.

        Args:
            path: The file.
            by_folders: Whether the folders that it lies in tell images of one name apart.

        Raises:
            UserError: If there is none, more than one, or one of another split.
        """
        name = _composed(path.stem)
        records = [self.by_id[name]] if name in self.by_id else self.by_file.get(name, [])
        if not records:
            training = [key for key, record in self.by_id.items() if record.split == "train"]
            close = difflib.get_close_matches(name, training, n=1)
            hint = f" (did you mean {close[0]}.png?)" if close else ""
            raise UserError(
                f"{path} is named after no image{hint}; call it <image id>.png, with an id of "
                "data/prepared/manifest.csv."
            )
        if len(records) > 1 and by_folders:
            shared = [_shared_folders(path, record) for record in records]
            records = [r for r, n in zip(records, shared, strict=True) if n == max(shared)]
        if len(records) > 1:
            raise UserError(
                f"{path} could be the mask of more than one image; call it "
                f"{' or '.join(f'{record.id}.png' for record in records[:2])}."
            )
        record = records[0]
        if record.split != "train":
            raise UserError(
                f"{path} is a mask of the image {record.id}, which is in the split "
                f"{record.split}: learning from it would spoil what is measured there. Remove it."
            )
        return record


def _shared_folders(path: Path, record: Record) -> int:
    """How many of the innermost folders a file and an image have in common."""
    mine = reversed(PurePosixPath(_composed(path.as_posix())).parent.parts)
    others = reversed(PurePosixPath(_composed(record.image)).parent.parts)
    pairs = zip(mine, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _checked(
    path: Path, facts: MaskFacts, record: Record, classes: tuple[str, ...]
) -> CorrectedMask:
    """The mask, if it can be learned from."""
    if not read_bytes(path).startswith(PNG_SIGNATURE):
        raise UserError(f"{path} is no PNG inside, though it is called so; save it as PNG.")
    known = (*range(len(classes) + 1), VOID)
    moved = renumbered(facts, known) if facts.colours else None
    if moved is not None:
        raise UserError(
            f"{path} shows id {moved[0]} in the colour of id {moved[2]}: the program that saved it "
            "numbered its palette anew. Save it in grey, one id per pixel, or with the palette as "
            "it was."
        )
    if facts.black_and_white and len(classes) > 1:
        raise UserError(
            f"{path} is black and white, which does not say which class is meant; use "
            f"{_class_ids(classes)}."
        )
    orientation: int | None = 1
    if (facts.width, facts.height) != (record.width, record.height):
        orientation = orientation_for(inspect_image(record.image), facts.width, facts.height)
    if orientation is None:
        raise UserError(
            f"{path} is {facts.width}x{facts.height} pixels but its image {record.image} is "
            f"{record.width}x{record.height}; draw it on the image at its own size."
        )
    unknown = [i for i in facts.ids if i not in known]
    if unknown:
        raise UserError(
            f"{path} holds the id {unknown[0]}, which is no class; use {_class_ids(classes)}, "
            f"{VOID} void."
        )
    if VOID in facts.ids and set(facts.ids) <= {BACKGROUND, VOID} and record.tags:
        raise UserError(
            f"{path} holds {' and '.join(map(str, facts.ids))} only, and {VOID} is void, which is "
            f"not learned from; use {_class_ids(classes)}."
        )
    return CorrectedMask(path.as_posix(), orientation, facts.ids)


def _class_ids(classes: tuple[str, ...]) -> str:
    """`0 background, 1 cat, 2 dog`; a long list is cut."""
    named = [f"{i} {name}" for i, name in enumerate(("background", *classes))]
    return ", ".join(named if len(named) <= 8 else [*named[:4], "...", named[-1]])
