"""Device and threads: how to run, never what to compute."""

import os

from weaktr.errors import UserError


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
    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, ImportError):
        raise UserError(
            f"{given_as}: {name!r} is not available on this machine; use 'auto' or 'cpu'."
        ) from None
    return name


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


def set_threads(count: int) -> None:
    """Sets torch's CPU threads; 0 means all cores (or the first number of `OMP_NUM_THREADS`)."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    wanted = int(asked) if asked.isdecimal() else 0
    torch.set_num_threads(count or wanted or cores or 1)
