"""What asks a running stage to stop: signals, and the end of the `dvc` that started it."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import psutil

from weaktr.stopping import Stop

LEAVE = ("SIGINT", "SIGTERM", "SIGHUP")
"""Save and leave with 130, 143 or 129."""
SAVE = "SIGUSR1"
"""Save and go on: what SLURM and others send as a warning."""
Handler = Callable[[int, FrameType | None], None]
LONGEST = 300.0
"""Seconds that a process whose starter is gone has to save and leave."""


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Turns signals into wishes while the block runs."""

    def leave(number: int, frame: FrameType | None) -> None:
        stop.ask(128 + number)

    def save(number: int, frame: FrameType | None) -> None:
        stop.wants_save = True

    with handled(leave, save):
        yield


@contextmanager
def handled(leave: Handler, save: Handler) -> Iterator[None]:
    """Handles signals while the block runs; those that are ignored stay so (`nohup`)."""
    before = {}
    for name in (*LEAVE, SAVE):
        number = getattr(signal, name, None)  # Windows lacks some
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, save if name == SAVE else leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signal_name(code: object) -> str:
    """`SIGTERM` of the exit code 143."""
    try:
        return signal.Signals(int(str(code)) - 128).name
    except ValueError:
        return f"code {code}"


def dvc_process() -> psutil.Process | None:
    """The `dvc` that this process runs under, if it does."""
    for process in psutil.Process().parents():
        try:
            if any(Path(part).name == "dvc" for part in process.cmdline()[:3]):
                return process
        except psutil.Error:
            continue
    return None


@contextmanager
def stopped_with_dvc(stop: Stop, every: float = 1.0) -> Iterator[None]:
    """Stops this process, as SIGTERM does, when the `dvc` that started it is gone.

    Nobody would record what it makes, and the next `dvc repro` would start a second one.

    Args:
        stop: Is not asked again where it was asked already.
        every: Seconds between two looks.
    """
    dvc = dvc_process() if "DVC_STAGE" in os.environ else None
    with nullcontext() if dvc is None else stopped_with(dvc, "dvc", stop, every):
        yield


@contextmanager
def stopped_with(
    process: psutil.Process, name: str, stop: Stop, every: float = 1.0
) -> Iterator[None]:
    """Stops this process, as SIGTERM does, when another one is gone.

    Args:
        process: The other one.
        name: What it is, for the message.
        stop: Is not asked again where it was asked already.
        every: Seconds between two looks.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every):
            if stop.code is not None:
                return  # a second wish would give up what is being saved
            if not is_alive(process):
                gone = f"{name} (process {process.pid}) is gone; stopping."
                print(gone, file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGTERM)
                if not done.wait(LONGEST):  # it waits for another process, and hears no signal
                    os._exit(128 + signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, daemon=True, name=f"watch {name}")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
