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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import psutil

from stages.common.signals import SAVE, stopped_with
from weaktr.distributed import (
    LostProcessError,
    fails_first,
    is_first,
    process_group,
    world_size,
)
from weaktr.errors import UserError
from weaktr.stopping import Stop

LAST = 10
"""Seconds that processes have to save when a stop is asked for again; torch's launcher gives them
30 the first time, as schedulers do."""
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

    logging.disable(logging.ERROR)  # the launcher's own account of what the processes say
    with tempfile.TemporaryDirectory() as logs, _saving_passed_on():
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
        try:
            elastic_launch(config, sys.executable)("-m", "stages", *arguments)
        except SignalException as stopped:
            _, hung = psutil.wait_procs(psutil.Process().children(), timeout=LAST)
            for process in hung:
                process.kill()
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
def _saving_passed_on() -> Iterator[None]:
    """Passes on the signal that asks for a checkpoint; torch's launcher passes on the others."""
    if not hasattr(signal, SAVE):  # Windows
        yield
        return
    number = getattr(signal, SAVE)

    def pass_on(*_: object) -> None:
        for process in psutil.Process().children():
            process.send_signal(number)

    before = signal.signal(number, pass_on)
    try:
        yield
    finally:
        signal.signal(number, before)
