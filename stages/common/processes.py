"""The processes of a stage: started by torch's launcher, and heard as one.

`runtime.devices` says how many; `torchrun -m stages STAGE` starts them on several machines.
"""

import logging
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import psutil

from stages.common.signals import handled, stopped_with
from weaktr.distributed import (
    LostProcessError,
    fails_first,
    is_first,
    process_group,
    world_size,
)
from weaktr.errors import UserError
from weaktr.stopping import APART, Stop

GRACE = 20
"""Seconds that a process which has nothing to say waits to be ended by its launcher."""


def was_launched() -> bool:
    """Whether a launcher, ours or `torchrun`, started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def launch(processes: int, arguments: Sequence[str]) -> None:
    """Runs `python -m stages ARGUMENTS` in so many processes and ends as they end.

    Args:
        processes: How many, on this machine.
        arguments: Of the command line.

    Raises:
        UserError: If one of them was killed, as it cannot say so itself.
        SystemExit: If one of them failed, with its exit code: it has said why.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    def to_stop(number: signal.Signals) -> Exception:
        return SignalException(f"stopped by {number.name}", number)

    logging.disable(logging.ERROR)  # the launcher's own account of what the processes say
    with tempfile.TemporaryDirectory() as logs, _signals_passed_on(to_stop):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        config.signals_to_handle = ""  # they are handled here; older versions of torch insist
        try:
            elastic_launch(config, sys.executable)("-m", "stages", *arguments)
        except SignalException as stopped:
            sys.exit(128 + stopped.sigval)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode >= 0:
                sys.exit(failure.exitcode)
            name = signal.Signals(-failure.exitcode).name
            raise UserError(
                f"process {rank} of {processes} was ended by {name}, as happens when memory runs "
                "out; run again: it goes on after what is in checkpoints/."
            ) from None


@contextmanager
def one_of_several() -> Iterator[None]:
    """Joins the other processes; the first one prints, and of failures the first is told.

    With one process it does nothing.

    Raises:
        UserError: If another process is gone, and no launcher came to end this one.
    """
    with ExitStack() as quiet, process_group():
        if world_size() == 1:
            yield
            return
        if not is_first():
            nowhere = quiet.enter_context(Path(os.devnull).open("w"))
            quiet.enter_context(redirect_stdout(nowhere))
            quiet.enter_context(redirect_stderr(nowhere))
        try:
            yield
        except LostProcessError as error:
            time.sleep(GRACE)
            raise UserError(f"{error}; look for its own message.") from error
        except Exception:
            if not fails_first():
                time.sleep(GRACE)
            raise


@contextmanager
def stopped_with_launcher(stop: Stop) -> Iterator[None]:
    """Stops this process when the launcher that started it is gone."""
    launcher = psutil.Process().parent() if was_launched() else None
    if launcher is None:
        yield
        return
    with stopped_with(launcher, "the launcher", stop):
        yield


@contextmanager
def _signals_passed_on(stopped: Callable[[signal.Signals], Exception]) -> Iterator[None]:
    """What signals to the launcher do: the processes save, or save and leave, or end at once.

    Args:
        stopped: Makes the exception that has torch's launcher stop its processes, and kill after 30
            seconds those that are left.
    """
    asked: list[float] = []

    def leave(number: int, frame: object) -> None:
        if not asked:
            asked.append(time.monotonic())
            raise stopped(signal.Signals(number))
        if time.monotonic() - asked[0] >= APART:
            for process in psutil.Process().children():
                process.kill()

    def save(number: int, frame: object) -> None:
        for process in psutil.Process().children():
            process.send_signal(number)

    with handled(leave, save):
        yield
