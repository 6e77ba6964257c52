"""Device and threads: how to run, never what to compute."""

import os

from weaktr.errors import UserError


def choose_device(name: str) -> str:
    """The torch device that a name stands for.

    Args:
        name: `auto` (CUDA if there is one, else the CPU) or a torch device.

    Raises:
        UserError: If there is no such device on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"runtime.device: {name!r} is not available on this machine; use 'auto' or 'cpu'."
        ) from None
    return name


def set_threads(count: int) -> None:
    """Sets torch's CPU threads; 0 means all cores (or `OMP_NUM_THREADS`)."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(count or int(os.environ.get("OMP_NUM_THREADS", cores or 1)))
