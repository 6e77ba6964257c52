"""What a stage is, and what it is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stages.common.paths import CHECKPOINTS
from weaktr.files import digest_files, digest_value
from weaktr.stopping import Stop

if TYPE_CHECKING:  # Else a change of any section's code would rerun every stage.
    from weaktr.config.params import Params


def _nowhere(values: Mapping[str, float], epochs: int) -> None:
    """Where the curves of a stage go that runs untracked."""


def _not_at_all(history: Sequence[Mapping[str, float]]) -> None:
    """Where the curves of earlier runs go."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Handed to a stage's `run`.

    Args:
        params: The validated params.
        device: Name of the torch device.
        reports: Folder for this stage's metrics, curves and pictures.
        fingerprint: Digest of the params and the code that the outputs depend on.
        log_epoch: A trainer tells it the curves of each epoch, and how many epochs there will be.
        log_earlier: A trainer that goes on tells it the curves of the epochs before, once.
        checkpoints: Folder of what killed trainings go on from.
        stop: Asks a trainer to save, or to save and leave.
        say: Is told what a person should know while the stage runs.
        artifacts: The stage adds files and folders that are worth keeping with its run.
    """

    params: "Params"
    device: str
    reports: Path
    fingerprint: str = ""
    log_epoch: Callable[[Mapping[str, float], int], None] = _nowhere
    log_earlier: Callable[[Sequence[Mapping[str, float]]], None] = _not_at_all
    checkpoints: Path = CHECKPOINTS
    stop: Stop = field(default_factory=Stop)
    say: Callable[[str], None] = print
    artifacts: list[Path] = field(default_factory=list)

    def fingerprint_with(self, inputs: Sequence[Path]) -> str:
        """Digest of params, code and the content of files and folders, in 16 hex digits."""
        return digest_value([self.fingerprint, digest_files(inputs)])[:16]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a stage says of itself in one line.

    Args:
        made: What came out, such as `1,000 pseudo-labels`.
        number: The number that counts, such as `mIoU 79.0`; empty where there is none.
        where: The file or folder to look at.
    """

    made: str
    number: str = ""
    where: Path


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the pipeline; the module `stages.NAME` holds it as `STAGE`.

    `dvc.yaml` says the same of it to DVC, and a test compares the two.

    Args:
        name: In `dvc.yaml`; also of its module, and of its folder under `reports/`.
        run: Reads, calls the library, writes; of several processes only the first one writes, and
            the others give nothing back.
        sections: Sections of `params.yaml` that it reads.
        upstream: From the params to the stages whose outputs it reads.
        writes: The outputs that other stages may read.
        tracked: Whether it is worth a run in MLflow.
        shared: Whether several processes share its work; else the first one does it alone.
    """

    name: str
    run: Callable[[Context], Result | None]
    sections: tuple[str, ...]
    upstream: Callable[["Params"], tuple[str, ...]]
    writes: tuple[Path, ...] = ()
    tracked: bool = True
    shared: bool = False
