"""Finding the files that lists and tables name."""

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from weaktr.data.images import IMAGE_SUFFIXES
from weaktr.data.readers.listing import Listing
from weaktr.data.readers.walk import OTHER_SUFFIXES, walk
from weaktr.errors import UserError

_SUFFIXES = IMAGE_SUFFIXES | OTHER_SUFFIXES


class FileFinder:
    """The image files under a folder, found by the names that people give them.

    A name may lack its suffix or have it in other capitals, differ in Unicode normalisation (as
    between macOS and the rest), or use backslashes.

    Args:
        root: The data set's folder; paths are given out below it, as it was given.

    Attributes:
        files: The images, below the root and in order.
        unread: Pictures in formats that are not read -> the format.
        system: What was passed over because it belongs to a system or a tool.
        folders: The folders, below the root.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        found = walk(self.root)
        self.files = tuple(found.images)
        self.unread = found.unread
        self.system = found.system
        self.folders = tuple(found.folders)
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

    def find_unread(self, name: str, below: Iterable[str] = ("",)) -> str | None:
        """The format of a picture that is there but is not read, or `None`; as `find`."""
        formats = {_key(file): kind for file, kind in self.unread.items()}
        return next((formats[f + _key(name)] for f in below if f + _key(name) in formats), None)

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
    return stem if suffix.lower() in _SUFFIXES else name


def formats_in_words(unread: Iterable[str]) -> str:
    """`1 GIF, 2 HEIC`, from formats."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(Counter(unread).items()))


def say_passed_over(listing: Listing, finder: FileFinder) -> None:
    """Counts what a search left out, in the listing's problems and notes."""
    if finder.unread:
        listing.warn(
            "unread-format",
            f"{finder.root} has pictures in formats that are not read, which stay out "
            f"({formats_in_words(finder.unread.values())}; the first is {min(finder.unread)}); "
            "convert them to JPEG or PNG.",
            count=len(finder.unread),
        )
    if finder.system:
        shown = ", ".join(finder.system[:3]) + (", ..." if len(finder.system) > 3 else "")
        listing.left_out(
            "system",
            len(finder.system),
            f"Files and folders of systems and tools passed over below {finder.root}: "
            f"{len(finder.system)} ({shown}).",
        )


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
    if folder.is_dir():
        return folder
    # ` #` begins a comment in YAML, so that the rest of an unquoted path is lost.
    cut = sorted(str(path) for path in folder.parent.glob(f"{glob.escape(folder.name)} #*"))
    hint = f" Did you mean {cut[0]!r}? A path with # needs quotes." if cut else ""
    raise UserError(f"{folder} is not a folder; check dataset.root, or put the data there.{hint}")
