"""What a stage is given: params, device, and a place to send its numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weaktr.config import Params


def _nowhere(values: Mapping[str, float], step: int) -> None:
    """The log of a stage that runs untracked."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Handed to a stage's `run`.

    Args:
        params: The validated params.
        device: Name of the torch device.
        reports: Folder for this stage's metrics, curves and pictures.
        log: Receives named numbers and a step as they come up.
        artifacts: The stage adds files and folders that are worth keeping with its run.
    """

    params: Params
    device: str
    reports: Path
    log: Callable[[Mapping[str, float], int], None] = _nowhere
    artifacts: list[Path] = field(default_factory=list)
