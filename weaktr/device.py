"""Devices, processes and threads: how to run, never what to compute."""

import os
import shutil
from pathlib import Path
from typing import Literal

from weaktr.errors import UserError

PASS_PIXELS = {"cpu": 2**20, "cuda": 2**24}
"""Pixels that go through a network together, by type of device: 4 or 72 windows of 480."""
FEW = 8
"""CPU processes that are let try on fewer cores."""
MOST_WORKERS = 16
"""Loader processes that `auto` starts beside one GPU."""
PREFETCHED = 2
"""Batches that each loader process holds ready."""
SHARED_MEMORY = Path("/dev/shm")
"""Where loader processes hand over their batches; containers often have 64 MiB of it."""


def choose_device(name: str, *, given_as: str) -> str:
    """The torch device that a name stands for.

    Args:
        name: `auto` (CUDA if there is one, else the CPU) or a torch device.
        given_as: The option or param that holds the name, for the message.

    Raises:
        UserError: If there is no such device on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and torch.cuda.is_available():
        return name  # without taking memory there: it may be for other processes
    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, ImportError):
        raise UserError(
            f"{given_as}: {name!r} is not available on this machine; use 'auto' or 'cpu'."
        ) from None
    return name


def images_per_pass(pixels: int, device: str) -> int:
    """How many inputs of so many pixels go through a network together, outside of training.

    Enough to keep the device busy, in a stated amount of memory.

    Args:
        pixels: Of one input.
        device: Its type, such as `cpu`.
    """
    return max(1, PASS_PIXELS.get(device, PASS_PIXELS["cuda"]) // pixels)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, on whichever device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def free_memory() -> None:
    """Gives back what the GPU's allocator keeps for later."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def count_processes(
    wanted: int | Literal["auto"], device: str, *, given_as: str = "runtime.devices"
) -> int:
    """How many processes share the work.

    Args:
        wanted: One process per GPU, or so many.
        device: As `choose_device` gives it.
        given_as: The option or param that holds the number, for the message.

    Raises:
        UserError: If there are not so many GPUs, or the device is one that cannot be shared.
    """
    import torch

    if device == "cuda":
        visible = torch.cuda.device_count()
        if wanted != "auto" and wanted > visible:
            raise UserError(
                f"{given_as}: {wanted} GPUs are wanted and {visible} can be seen; lower it, "
                "or look at CUDA_VISIBLE_DEVICES."
            )
        return visible if wanted == "auto" else wanted
    if wanted in ("auto", 1):
        return 1
    if device != "cpu":
        raise UserError(
            f"{given_as}: {wanted} processes cannot share the one device {device}; use "
            "'cuda' for several GPUs, or 1 process."
        )
    count = int(wanted)
    if count > max(_cores(), FEW):
        raise UserError(
            f"{given_as}: {count} processes on {_cores()} CPU cores would only wait for each "
            "other; lower it, or use 'auto'."
        )
    return count


def devices_of(processes: int, device: str) -> list[str]:
    """The device of each process, counted as `count_processes` does."""
    return [f"cuda:{i}" if device == "cuda" else device for i in range(processes)]


def own_device(device: str) -> str:
    """The device of this process: of several GPUs the one that its launcher chose for it."""
    import torch

    if device != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    index = int(os.environ["LOCAL_RANK"])
    if index >= torch.cuda.device_count():
        raise UserError(
            f"process {index} of this machine has no GPU, as {torch.cuda.device_count()} can be "
            "seen; start no more processes than GPUs."
        )
    torch.cuda.set_device(index)
    return f"cuda:{index}"


def count_workers(wanted: int | Literal["auto"], device: str, *, batch_bytes: int) -> int:
    """How many loader processes help this process.

    Args:
        wanted: `runtime.workers`. `auto`: beside a GPU, this process's CPU cores but one, and no
            more than shared memory holds batches for; none on a CPU, whose cores are training.
        device: That of this process.
        batch_bytes: Of one batch.
    """
    if wanted != "auto":
        return wanted
    if not device.startswith("cuda"):
        return 0
    workers = min(threads_of_process(0) - 1, MOST_WORKERS)
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        workers = min(workers, int(free / 2 / ((PREFETCHED + 1) * batch_bytes)))
    return max(0, workers)


def threads_of_process(count: int) -> int:
    """CPU threads of this process: its part of so many, or of all cores where `count` is 0."""
    return max(1, (count or _cores()) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(count: int) -> None:
    """Sets torch's CPU threads.

    Args:
        count: Of all processes on this machine together; 0 means all cores, or in each process the
            first number of `OMP_NUM_THREADS`.
    """
    import torch

    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    wanted = int(asked) if asked.isdecimal() else 0
    torch.set_num_threads(wanted if wanted and not count else threads_of_process(count))
