"""What is done of a long pass over images, on disk, so that a killed one goes on after it."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from weaktr.distributed import from_first, is_first, rank
from weaktr.errors import UserError

LINES = ".journal"


class ImageJournal:
    """A folder with the file that was made of each image, and a line for each that is whole.

    A line has the image's id, what else is known of it, and digests of itself and of the file: what
    a kill cut short, or a disk garbled, is passed over and made again. Nothing needs to be flushed
    for that. Of several processes each appends lines to a file of its own, and the next run, in
    however many, reads them all.

    Args:
        folder: Belongs to this pass alone: its name stands for params, inputs and code.
        suffix: Of the images' files, such as `.png`; `None` where none are kept.
        name: Of the pass, for messages.
        say: Is told what a person should know.

    Attributes:
        done: Ids of the images that earlier runs have finished, once `resume` was called.
    """

    def __init__(
        self,
        folder: Path,
        suffix: str | None,
        *,
        name: str = "",
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder = folder
        self.suffix = suffix
        self.name = name
        self.say = say
        self.done: frozenset[str] = frozenset()

    def path(self, id_: str) -> Path:
        """The file of an image."""
        return self.folder / f"{id_}{self.suffix}"

    def new_path(self, id_: str) -> Path:
        """The same, for one that writes in place: what was there may be a link to a result."""
        path = self.path(id_)
        path.unlink(missing_ok=True)
        return path

    def resume(self, take: Callable[[str, Any], None]) -> None:
        """Reads what earlier runs have finished.

        Args:
            take: Called for each image in the first process, with its id and its note.

        Raises:
            UserError: If nothing can be kept in the folder.
        """
        done = set()
        if is_first():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._own_lines().touch()
            except OSError as error:
                raise UserError(
                    f"{self.folder} cannot hold what is finished ({error.strerror or error}); "
                    f"check that {self.folder.parent} is a folder, its rights and the space left."
                ) from None
            for id_, note in self._entries():
                take(id_, note)
                done.add(id_)
        self.done = from_first(frozenset(done))

    def tell(self, images: int, what: str = "") -> None:
        """Says how many of so many images are done, if there are any; `what` of them is."""
        if self.done and is_first():
            self.say(f"{self.name} goes on after {what}{len(self.done):,} of {images:,} images")

    def add(self, id_: str, note: Any) -> None:
        """Notes that an image is finished; its file has to be complete.

        Args:
            id_: Of the image.
            note: What else is known, JSON-like.
        """
        file = None if self.suffix is None else _digest(self.path(id_).read_bytes())
        text = json.dumps([id_, file, note])
        with self._own_lines().open("ab") as stream:
            stream.write(f"{_digest(text.encode())} {text}\n".encode())

    def publish(self, folder: Path, ids: Iterable[str]) -> None:
        """Puts the files of images into another folder: as hard links, or as copies elsewhere."""
        for id_ in ids:
            source = self.path(id_)
            try:
                os.link(source, folder / source.name)
            except OSError:  # another file system, or one without links
                shutil.copyfile(source, folder / source.name)

    def _own_lines(self) -> Path:
        return self.folder / f"{rank()}{LINES}"

    def _entries(self) -> Iterator[tuple[str, Any]]:
        """Id and note of each image that is whole; files that a kill cut are ended with a line."""
        seen: set[str] = set()
        damaged = 0
        for path in sorted(self.folder.glob(f"*{LINES}")):
            line = b"\n"
            with path.open("rb+") as stream:
                for line in stream:
                    entry = self._read(line)
                    if entry is None:
                        damaged += 1
                    elif entry[0] not in seen:
                        seen.add(entry[0])
                        yield entry
                if not line.endswith(b"\n"):
                    stream.write(b"\n")
        if damaged:
            self.say(
                f"Warning: {damaged:,} entries of {self.folder} are damaged or cut short and "
                "passed over; what they stood for is made again."
            )

    def _read(self, line: bytes) -> tuple[str, Any] | None:
        """A line's id and note, or nothing where the line or the image's file is damaged."""
        digest, _, text = line.rstrip(b"\n").partition(b" ")
        if digest.decode(errors="replace") != _digest(text):
            return None
        id_, file, note = json.loads(text)
        try:
            if self.suffix is not None and _digest(self.path(id_).read_bytes()) != file:
                return None
        except OSError:
            return None
        return id_, note


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
