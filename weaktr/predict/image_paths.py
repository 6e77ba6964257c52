"""The images that a command line names, and the names of what is made of them."""

import glob
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path, PurePath

from weaktr.data.images import IMAGE_SUFFIXES
from weaktr.data.readers.find_files import without_suffix
from weaktr.data.readers.walk import is_system_file, is_system_folder, picture_format, walk
from weaktr.errors import UserError

SUFFIXES = (".png", ".jpg")
"""Of masks, and of overlays."""
LONGEST_NAME = 200
"""Bytes of a file name before its suffix; file systems allow 255 with it."""


def find_images(
    arguments: Sequence[str], *, skip: Iterable[Path] = (), notes: list[str] | None = None
) -> list[Path]:
    """Image files, each once, in the order of the arguments.

    Pictures in formats that are not read (HEIC, GIF, ...) are among them; reading them says so.

    Args:
        arguments: Files (taken whatever their names say), folders (searched at any depth, without
            hidden files and those of systems and tools), and glob patterns, where `**` stands for
            any depth.
        skip: Folders whose files are not found by searching.
        notes: Takes a sentence for what each search passed over.

    Raises:
        UserError: If an argument names nothing, or a search finds no image.
    """
    skipped = [folder.resolve() for folder in skip]
    found: dict[str, Path] = {}
    for argument in arguments:
        if Path(argument).is_file():
            files = [Path(argument)]
        else:
            every, system = _search(argument)
            files = [path for path in every if not _inside(path, skipped)]
            if system and notes is not None:
                shown = ", ".join(system[:3]) + (", ..." if len(system) > 3 else "")
                notes.append(
                    f"files and folders of systems and tools passed over in {argument}: "
                    f"{len(system)} ({shown})."
                )
            if not files:
                raise UserError(
                    f"{argument} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); check the "
                    "path."
                )
        for path in files:
            found.setdefault(os.path.abspath(path), path)  # noqa: PTH100 (links stay apart)
    return list(found.values())


def _search(argument: str) -> tuple[list[Path], list[str]]:
    """Pictures below a folder, or of what a pattern fits; and what was passed over."""
    if Path(argument).is_dir():
        found = walk(Path(argument))
        return [
            Path(argument, name) for name in sorted((*found.images, *found.unread))
        ], found.system
    if not glob.has_magic(argument):
        raise UserError(f"{argument} does not exist; name image files, folders or glob patterns.")
    files: list[Path] = []
    system: list[str] = []
    for match in sorted(glob.glob(argument, recursive=True)):  # noqa: PTH207 (absolute ones too)
        path = Path(match)
        named = PurePath(argument).parts
        if any(is_system_folder(part) for part in path.parent.parts if part not in named):
            system.append(match)
        elif path.is_dir():
            if "**" not in argument:
                more, passed = _search(match)
                files += more
                system += [f"{match}/{name}" for name in passed]
        elif is_system_file(path.name) and path.name not in named:
            system.append(match)
        elif path.suffix.lower() in IMAGE_SUFFIXES or picture_format(path) is not None:
            files.append(path)
    return files, system


def _inside(path: Path, folders: Sequence[Path]) -> bool:
    return bool(folders) and any(f in path.resolve().parents for f in folders)


def output_names(images: Sequence[Path]) -> list[str]:
    """A name for the results of each image: its path below the folder that all share, no suffix.

    Names stay apart where they would differ by suffix, case or Unicode normalisation only: the
    second one keeps its suffix, or gets a number.

    Args:
        images: Different files.

    Returns:
        One relative path per image, with forward slashes. With any of `SUFFIXES` behind it, it is
        no other's, and no folder of another's.

    >>> output_names([Path("in/a/x.jpg"), Path("in/b/x.jpg"), Path("in/b/x.png")])
    ['a/x', 'b/x', 'b/x.png']
    """
    if not images:
        return []
    paths = [os.path.abspath(path) for path in images]  # noqa: PTH100 (links stay apart)
    base = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    relative = [PurePath(os.path.relpath(path, base)) for path in paths]
    folders = {_key(parent) for path in relative for parent in path.parents}
    taken: set[str] = set()
    names = []
    for path in relative:
        name = next(
            name
            for name in _candidates(path)
            if _key(name) not in taken
            and not any(_key(name) + suffix in folders for suffix in SUFFIXES)
        )
        taken.add(_key(name))
        names.append(name.as_posix())
    return names


def _candidates(path: PurePath) -> Iterator[PurePath]:
    """`a/x`, `a/x.jpg`, `a/x.jpg-2`, `a/x.jpg-3`, ... for `a/x.jpg`."""
    yield path.with_name(_shortened(without_suffix(path.name)))
    full = _shortened(path.name)
    yield path.with_name(full)
    for number in count(2):
        yield path.with_name(f"{full}-{number}")


def _shortened(name: str) -> str:
    """The name, cut and told apart by a digest if it is too long to get a suffix."""
    data = os.fsencode(name)
    if len(data) <= LONGEST_NAME:
        return name
    digest = hashlib.blake2b(data, digest_size=6).hexdigest()
    kept = data[: LONGEST_NAME - len(digest) - 1].decode("utf-8", "ignore")
    return f"{kept}-{digest}"


def _key(path: PurePath) -> str:
    """What careless file systems take for the same path."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
