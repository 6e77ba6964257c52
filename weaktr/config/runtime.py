"""`runtime`: how to run, not what to compute."""

from typing import Annotated, Literal

from pydantic import Field

from weaktr.config.values import Count, CountOrZero, Flag, NonNegative, Section


class RuntimeParams(Section):
    """How to run, not what to compute: no stage depends on this block."""

    device: str = "auto"
    """`auto` (CUDA if there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`."""
    devices: Literal["auto"] | Count = "auto"
    """Processes that share a stage's work, each with a GPU or a part of the CPU's threads; `auto`:
    one per GPU, and one on a CPU."""
    workers: Literal["auto"] | CountOrZero = "auto"
    """Loader processes of each training process; 0 loads in the process itself. `auto`: beside a
    GPU as many as there are CPU cores for it, less one; on a CPU, whose cores are busy, 0."""
    threads: CountOrZero = 0
    """CPU threads of torch, shared out among the processes; 0: as many as there are cores. Nothing
    reruns for it, but a training with another number ends with slightly other weights: sums are
    added in another order."""
    checkpoint_minutes: NonNegative = 2.0
    """A checkpoint to resume from every so many minutes; 0: after every step."""
    activation_checkpointing: Flag = False
    """Recompute activations in the backward pass: less memory, more time."""
    experiment: Annotated[str, Field(pattern=r"^[^/\\:]+$")] = "weaktr"
    """Name of the MLflow experiment: any text without / \\ and :, as it names a folder too."""
