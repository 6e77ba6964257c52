"""Files that appear whole or not at all, and digests of their content."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from weaktr.errors import UserError


def temporary_beside(path: Path) -> Path:
    """A hidden sibling of `path`: on the same file system, so that a rename is atomic.

    The name is fixed: what a killed process left behind is overwritten by the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.tmp")


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a complete file, once its bytes are on the disk: also a power cut leaves it whole."""
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    temporary.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems flush no folders
                os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path to write to; renames it to `path` when the block succeeds.

    Args:
        path: Final place of the file; its folder is made if need be. An old file there stays
            untouched until the new one is complete.

    Raises:
        UserError: If `path` is a device, a pipe or the like, which a file would take the place of.
    """
    path = Path(path)
    if path.absolute().parent == Path("/dev") or not (
        path.is_file() or path.is_dir() or not path.exists()
    ):
        raise UserError(f"{path} is a device or a pipe; name a file.")
    temporary = temporary_beside(path)
    try:
        with naming(path):
            yield temporary
            put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_dir(path: str | Path) -> Iterator[Path]:
    """Yields an empty temporary folder; puts it in the place of `path` when the block succeeds.

    Where `path` is a link to a folder, that folder is replaced and the link stays.

    Raises:
        UserError: If `path` is a file.
    """
    path = Path(path).resolve()
    if path.is_file():
        raise UserError(f"{path} is a file where a folder is to be made; move it away.")
    temporary = temporary_beside(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with naming(path):
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts a file into errors that name none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.strerror is not None:
            error.filename = str(path)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text with `\\n` line ends, whole or not at all."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that equal values give equal bytes.

    Numbers that JSON lacks, NaN and infinities, become null.
    """
    text = json.dumps(_finite(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _finite(value: Any) -> Any:
    """The value with `None` in the place of floats that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: If the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path.") from None
    except (ValueError, RecursionError) as error:  # numbers too long, brackets too deep
        raise UserError(f"{path} is not valid JSON ({error}); restore or remake it.") from None


def digest_files(paths: Iterable[str | Path]) -> str:
    """Hex digest (blake2b, 128 bits) of the content of files and, recursively, of folders.

    Names inside a folder count, the place of the folder does not.
    """
    total = hashlib.blake2b(digest_size=16)
    for path in map(Path, paths):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path).as_posix() if path.is_dir() else ""
            content = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
            total.update(f"{name}\0{content}\0".encode())
    return total.hexdigest()


def digest_value(value: Any) -> str:
    """Hex digest (blake2b, 128 bits) of a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
