"""One process at a time: for a stage in a folder, and for its work, in whatever copy it runs."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from weaktr.distributed import is_first, wait_for_all
from weaktr.errors import UserError

PATIENCE = 20.0
"""Seconds for one that was told to stop, or the loaders of one that was killed, to be gone."""


@contextmanager
def alone_with_stage(name: str, folder: Path) -> Iterator[None]:
    """Lets one process at a time run a stage in the working folder.

    Args:
        name: Of the stage.
        folder: For the lock.

    Raises:
        UserError: If another one runs it.
    """
    with _locked(folder / f".{name}.lock", PATIENCE) as other:
        if other is not None:
            raise UserError(
                f"another process ({other}) runs {name} in this folder; wait for it, or stop it "
                f"(kill {other}): it saves what it has reached."
            )
        yield


@contextmanager
def alone_with_work(folder: Path, stem: str, say: Callable[[str], None]) -> Iterator[None]:
    """Waits while another process, in another copy of the project, makes the very same.

    Of several processes that work together, the first one holds the lock for all.

    Args:
        folder: Of the checkpoints, common to all copies.
        stem: What the names of these begin with: the stage, and a digest of all that counts.
        say: Is told who is waited for.
    """
    if not is_first():
        wait_for_all()  # there may be more when the first one has the lock
        yield
        return
    lock = folder / f".{stem}.lock"
    with _locked(lock, 0) as other:
        if other is None:
            wait_for_all()
            yield
            return
    stage = stem.partition("-")[0]
    say(f"{stage} waits for process {other}, which makes just the same")
    with _locked(lock, -1):
        wait_for_all()
        yield


@contextmanager
def _locked(file: Path, timeout: float) -> Iterator[str | None]:
    """Holds a lock; yields the process that holds it where it cannot be had in time."""
    holder = file.with_suffix(".pid")
    lock = FileLock(file, timeout=timeout)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        holder.write_text(str(os.getpid()))
    except Timeout:
        yield holder.read_text().strip() if holder.is_file() else "unknown"
        return
    except OSError as error:
        lock.release()
        raise UserError(
            f"{file} cannot be made ({error.strerror or error}); check that {file.parent} is a "
            "folder, its rights and the space left."
        ) from None
    try:
        yield None
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
