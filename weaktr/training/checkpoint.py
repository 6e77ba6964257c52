"""What a killed training needs to go on, on disk."""

import math
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from weaktr.errors import UserError
from weaktr.files import replace_file


@dataclass(kw_only=True)
class Progress:
    """What training has reached: everything in a checkpoint but weights and optimiser."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_weights: dict[str, Tensor] | None = None

    def keep_if_best(self, score: float, model: nn.Module) -> None:
        """Copies the weights if their score is higher than any before."""
        if score > self.best_score:
            self.best_score = score
            self.best_weights = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in model.state_dict().items()
            }


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where and how often to save what a killed run needs to go on.

    Args:
        folder: Folder of checkpoints, not part of any output.
        name: Name of the stage.
        fingerprint: Digest of params, inputs and code; a checkpoint made for others is never picked
            up, as the fingerprint is part of its file name.
        every: Epochs between two checkpoints.
    """

    folder: Path
    name: str
    fingerprint: str
    every: int = 1

    @property
    def path(self) -> Path:
        """The checkpoint's file."""
        return self.folder / f"{self.name}-{self.fingerprint}.pt"

    def is_due(self, epoch: int, epochs: int) -> bool:
        """Whether to save after so many epochs of all."""
        return epoch % self.every == 0 and epoch < epochs

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Writes the checkpoint, whole or not at all."""
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "progress": vars(progress),
        }
        with replace_file(self.path) as temporary:
            torch.save(state, temporary)

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Loads weights, optimiser and progress, if there is a checkpoint for just this run.

        Raises:
            UserError: If it is damaged.
        """
        if not self.path.is_file():
            return Progress()
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            return Progress(**state["progress"])
        except (pickle.UnpicklingError, EOFError, RuntimeError, LookupError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self.path} cannot be resumed from; remove it to start afresh. "
                f"Got: {type(error).__name__}: {reason}"
            ) from None
