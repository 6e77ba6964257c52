"""`runtime`: how to run, not what to compute."""

from typing import Annotated

from pydantic import Field

from weaktr.config.values import CountOrZero, Flag, NonNegative, Section


class RuntimeParams(Section):
    """How to run, not what to compute: no stage depends on this block."""

    device: str = "auto"
    """`auto` (CUDA if there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`."""
    workers: CountOrZero = 0
    """Loader processes; 0 loads in the main process."""
    threads: CountOrZero = 0
    """CPU threads of torch; 0: as many as there are cores. Nothing reruns for it, but a training
    with another number ends with slightly other weights: sums are added in another order."""
    checkpoint_minutes: NonNegative = 2.0
    """A checkpoint to resume from every so many minutes; 0: after every step."""
    activation_checkpointing: Flag = False
    """Recompute activations in the backward pass: less memory, more time."""
    experiment: Annotated[str, Field(pattern=r"^[^/\\:]+$")] = "weaktr"
    """Name of the MLflow experiment: any text without / \\ and :, as it names a folder too."""
