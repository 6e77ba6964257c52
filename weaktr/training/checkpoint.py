"""What a killed training needs to go on, on disk."""

import hashlib
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weaktr.distributed import is_first
from weaktr.errors import UserError
from weaktr.files import put_in_place, temporary_beside
from weaktr.models.saving import require_finite

KEPT = 2
"""Checkpoints of one training that are kept: if the newest is damaged, the one before serves."""


@dataclass(kw_only=True)
class Progress:
    """What training has reached: everything in a checkpoint but weights and optimiser.

    Attributes:
        epoch: Epochs that are complete.
        step: Optimiser steps that were taken in the epoch under way.
        sums: Losses of these steps, by name, added up.
        history: Curves of the complete epochs.
        best_score: Highest score of an epoch.
        best_weights: The weights that had it.
        scaling: State of the loss scaling where training is in float16.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_weights: dict[str, Tensor] | None = None
    scaling: dict[str, Any] = field(default_factory=dict)

    def keep_if_best(self, score: float, model: nn.Module) -> None:
        """Copies the weights if their score is higher than any before."""
        if score > self.best_score:
            self.best_score = score
            self.best_weights = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in model.state_dict().items()
            }


@dataclass(kw_only=True)
class Checkpoint:
    """Where and how often to save what a killed run needs to go on.

    A file's name has the training's fingerprint, what was reached, and a digest of the file's
    bytes: one that was made for another training or that is damaged is not loaded.

    Args:
        folder: Folder of checkpoints, not part of any output.
        name: Name of the stage.
        fingerprint: Digest of params, inputs and code.
        minutes: Between two checkpoints; 0: after every step.
        say: Is told what a person should know.

    Attributes:
        failed: Whether the last one could not be written.
    """

    folder: Path
    name: str
    fingerprint: str
    minutes: float = 0.0
    say: Callable[[str], None] = print
    _saved: float = field(default_factory=time.monotonic, init=False)
    failed: bool = field(default=False, init=False)
    _sound: list[Path] = field(default_factory=list, init=False)

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"{self.name}-{self.fingerprint}"

    def files(self) -> list[Path]:
        """Its files, the newest first."""
        return sorted(self.folder.glob(f"{self.stem}-e*.pt"), reverse=True)

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= 60 * self.minutes

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, progress: Progress
    ) -> None:
        """Writes a checkpoint, whole or not at all; one that cannot be written is only said.

        Args:
            model: Its weights.
            optimizer: Its state; `None` where the training is complete.
            progress: What was reached.

        Raises:
            UserError: If the weights are not finite: the checkpoints before this one stay.
        """
        require_finite(model)
        state = {
            "fingerprint": self.fingerprint,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer else None,
            "progress": vars(progress),
        }
        try:
            temporary = temporary_beside(self.folder / self.stem)
            try:
                with temporary.open("wb") as stream:
                    torch.save(state, stream)
                place = f"{self.stem}-e{progress.epoch:05}-s{progress.step:08}"
                path = self.folder / f"{place}-{_digest(temporary)}.pt"
                put_in_place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            self._sound = [*(old for old in self._sound if old != path), path][-KEPT:]
            for old in set(self.files()) - set(self._sound):  # those that are passed over as well
                old.unlink(missing_ok=True)
            self.failed = False
        except (OSError, RuntimeError) as error:  # torch makes either of a full disk
            if not self.failed:
                self.say(
                    f"Warning: no checkpoint could be written to {self.folder} ({_reason(error)}); "
                    "training goes on, and what is trained from now on is lost if it is killed."
                )
            self.failed = True
        self._saved = time.monotonic()

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Loads weights, optimiser and progress of the newest checkpoint of just this training.

        Those that are damaged, or that hold something else, are passed over with a line.

        Raises:
            UserError: If no checkpoint could be kept in the folder.
        """
        if is_first():
            self._require_folder()
        for path in self.files():
            try:
                progress = self._load(path, model, optimizer)
            except (
                pickle.UnpicklingError,
                EOFError,
                OSError,
                RuntimeError,
                LookupError,
                TypeError,
                ValueError,
            ) as error:
                self.say(f"Warning: the checkpoint {path} is passed over: {_reason(error)}.")
            else:
                self._sound = [path]
                return progress
        return Progress()

    def _load(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        if not path.stem.endswith(_digest(path)):
            raise ValueError("it is damaged, as its bytes are not those that were written")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["fingerprint"] != self.fingerprint or _shapes(state["model"]) != _shapes(
            model.state_dict()
        ):
            raise ValueError("it was made by another training")
        progress = Progress(**state["progress"])
        if state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"])
        model.load_state_dict(state["model"])
        return progress

    def _require_folder(self) -> None:
        """Notices before anything is trained that nothing can be kept."""
        try:
            temporary = temporary_beside(self.folder / self.stem)
            temporary.write_bytes(b"x")
            temporary.unlink()
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot hold checkpoints ({_reason(error)}); check that it is a "
                "folder, its rights and the space left."
            ) from None


def _shapes(state: dict[str, Any]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
