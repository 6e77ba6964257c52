"""What lies below a folder: images, pictures in formats that are not read, and the system's files.

Names with the usual suffixes count as images; of the others the first bytes decide. What a system
or a tool leaves beside images (thumbnails, backups, caches) is none of the data set's.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from weaktr.data.images import IMAGE_SUFFIXES
from weaktr.errors import UserError

OTHER_SUFFIXES = frozenset({".jfif", ".jpe", ".jfi", ".jif", ".pjpeg", ".pjp", ".dib"})
"""Suffixes that images have too, which are no part of a name."""

_SYSTEM_FOLDERS = frozenset(
    ("@eadir", "__macosx", "$recycle.bin", "#recycle", "lost+found", "system volume information")
)
_SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini"))
_LEFT_OVER = ("~", ".bak", ".orig", ".old", ".tmp", ".part", ".partial", ".crdownload", ".download")
_TEXT = (".txt", ".xml", ".json", ".jsonl", ".csv", ".tsv", ".md", ".yaml", ".yml", ".html", ".py")
_DATA = (".npy", ".npz", ".pkl", ".pt", ".pth", ".h5", ".zip", ".tar", ".gz", ".pdf", ".ipynb")
_NO_PICTURES = frozenset((*_TEXT, *_DATA))
"""Suffixes of files that need not be opened to know."""
_READ = "image"


@dataclass
class Found:
    """Names below a root, relative and with forward slashes.

    Attributes:
        images: Files to read.
        unread: Picture in a format that is not read -> the format.
        system: Files and folders that were passed over.
        folders: All others.
    """

    images: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    system: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def walk(root: Path) -> Found:
    """Everything below a folder, also behind links.

    Raises:
        UserError: If a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}); check its rights.")

    found = Found()
    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        prefix = here.relative_to(root).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        found.system += [f"{prefix}{name}/" for name in sorted(filter(is_system_folder, folders))]
        folders[:] = sorted(
            name
            for name in folders
            if not is_system_folder(name) and not leads_up(here / name, root)
        )
        found.folders += [prefix + name for name in folders]
        for name, kind in _kinds(folder, names):
            if kind == _READ:
                found.images.append(prefix + name)
            elif kind == "system":
                found.system.append(prefix + name)
            else:
                found.unread[prefix + name] = kind
    found.images.sort()
    found.system.sort()
    return found


def _kinds(folder: str, names: list[str]) -> Iterator[tuple[str, str]]:
    """Name and kind (`image`, `system` or a format) of the files that have one."""
    for name in names:
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (100,000 times)
        if is_system_file(name):
            yield name, "system"
        elif suffix in IMAGE_SUFFIXES:
            yield name, _READ
        elif suffix not in _NO_PICTURES and (kind := picture_format(os.path.join(folder, name))):  # noqa: PTH118
            yield name, kind


def picture_format(path: str | Path) -> str | None:
    """`image` for what is read, the format's name for other pictures, `None` for no picture.

    Asks the first bytes. TIFF counts as read with its own suffixes only: cameras' raw files begin
    alike, and their first picture is a thumbnail.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            head = stream.read(132)
            size = os.fstat(stream.fileno()).st_size
    except OSError:
        return None
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return _READ
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _READ
    if head[:2] == b"BM" and int.from_bytes(head[2:6], "little") == size:
        return _READ
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return "AVIF"
        return "HEIC" if brand[:3] in (b"hei", b"hev", b"mif", b"msf") else None
    if head.startswith((b"II*\0", b"MM\0*")):
        return "camera raw or TIFF"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    if head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    if head.startswith(b"8BPS"):
        return "Photoshop"
    return "DICOM" if head[128:132] == b"DICM" else None


def is_system_file(name: str) -> bool:
    """Whether a file of that name is hidden, a system's, or a tool's left-over."""
    lowered = name.lower()
    return name[0] == "." or lowered in _SYSTEM_FILES or lowered.endswith(_LEFT_OVER)


def is_system_folder(name: str) -> bool:
    """Whether a folder of that name is hidden or a system's."""
    return name[0] == "." or name.lower() in _SYSTEM_FOLDERS


def leads_up(folder: Path, root: Path) -> bool:
    """Whether the folder is a link to one that it lies in, which would be walked for ever."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    above = (path for path in folder.parents if path == root or root in path.parents)
    return any(path.resolve().is_relative_to(target) for path in above)
