"""Finding the files that lists and tables name."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from weaktr.data.images import IMAGE_SUFFIXES
from weaktr.errors import UserError


class FileFinder:
    """The image files under a folder, found by the names that people give them.

    A name may lack its suffix or have it in other capitals, differ in Unicode normalisation (as
    between macOS and the rest), or use backslashes.

    Args:
        root: The data set's folder; paths are given out below it, as it was given.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.files = tuple(sorted(_image_files(self.root)))
        self._by_name: dict[str, list[str]] = {}
        for name in self.files:
            whole = _key(name)
            for key in {whole, without_suffix(whole)}:
                self._by_name.setdefault(key, []).append(name)

    def find(self, name: str, below: Iterable[str] = ("",)) -> str | None:
        """Path of the file below the root (as `self.files` has it), or `None`.

        Args:
            name: As people write it.
            below: Where it may start, such as `images/`; the first one that has it counts.

        Raises:
            UserError: If the name fits more than one file.
        """
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            for folder in below:
                files = self._by_name.get(folder + _key(spelling.removeprefix("./")), [])
                if len(files) > 1:
                    exact = [file for file in files if file == folder + name]
                    if not exact:
                        raise UserError(
                            f"{name!r} fits more than one file of {self.root}; rename one. "
                            f"Got: {', '.join(files)}."
                        )
                    files = exact
                if files:
                    return files[0]
        return None

    def path(self, file: str) -> str:
        """The path to write into a manifest, from a path below the root."""
        return (self.root / file).as_posix()


def _key(name: str) -> str:
    """What spellings of a name share."""
    composed = unicodedata.normalize("NFC", name)
    stem = without_suffix(composed)
    return stem + composed[len(stem) :].lower()


def without_suffix(name: str) -> str:
    """The name without its image suffix, if it has one."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 (a string in, a string out)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def flat_ids(files: Iterable[str]) -> dict[str, str]:
    """File -> id: its path below the deepest folder that all share, flat and without suffix.

    >>> flat_ids(["photos/cat/1.jpg", "photos/dog/1.jpg"])
    {'photos/cat/1.jpg': 'cat__1', 'photos/dog/1.jpg': 'dog__1'}
    """
    files = list(files)
    parents = {PurePosixPath(file).parent.as_posix() for file in files}
    shared = os.path.commonpath(parents) if parents else ""
    start = len(shared) + 1 if shared not in ("", ".") else 0
    return {file: without_suffix(file[start:]).replace("/", "__") for file in files}


def existing_folder(root: str | Path, *parts: str) -> Path:
    """The folder, if it is there.

    Raises:
        UserError: If it is not.
    """
    folder = Path(root, *parts)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; check dataset.root, or put the data there.")
    return folder


def _image_files(root: Path) -> Iterable[str]:
    """Image files below the root, without hidden files and folders, relative and posix."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}); check its rights.")

    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not _leads_up(here / name, root)
        )
        prefix = here.relative_to(root).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (100,000 times)
            if suffix in IMAGE_SUFFIXES and not name.startswith("."):
                yield prefix + name


def _leads_up(folder: Path, root: Path) -> bool:
    """Whether the folder is a link to one that it lies in, which would be walked for ever."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    above = (path for path in folder.parents if path == root or root in path.parents)
    return any(path.resolve().is_relative_to(target) for path in above)
