"""The one training loop, for the CAM network and for the segmenter."""

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from weaktr.data.datasets import EpochSampler, sample_seed, training_loader
from weaktr.errors import UserError
from weaktr.files import replace_file
from weaktr.progress import track
from weaktr.schedule import Schedule

Losses = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where and how often to save what a killed run needs to go on.

    Args:
        folder: Folder of checkpoints, not part of any output.
        name: Name of the stage.
        fingerprint: Digest of params and inputs; a checkpoint made for others is never picked up,
            as the fingerprint is part of its file name.
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


@dataclass(kw_only=True)
class Progress:
    """What training has reached: everything in a checkpoint but weights and optimiser."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_weights: dict[str, Tensor] | None = None


def train(
    model: nn.Module,
    dataset: Dataset[tuple[Tensor, Tensor]],
    loss: Callable[[Any, Tensor], Losses],
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], Schedule],
    *,
    epochs: int,
    batch_size: int,
    accumulate: int = 1,
    seed: int,
    device: torch.device,
    precision: str = "float32",
    compile_model: bool = False,
    workers: int = 0,
    checkpoint: Checkpoint | None = None,
    score: Callable[[nn.Module], float] | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, values: None,
) -> list[dict[str, float]]:
    """Trains in place and returns the curves.

    Every random draw comes from (seed, epoch, sample) or (seed, epoch): on a CPU, a run that was
    killed and resumed ends with the same bits as one that was not.

    Args:
        model: Trained in place, on `device`. If `score` is given it ends with the best epoch's
            weights, else with the last epoch's.
        dataset: Takes `(epoch, index)`, gives an input and a target without the batch dimension.
        loss: From the model's output and the batch of targets to named losses; `loss` is minimised,
            the others are only recorded.
        optimizer: Over the model's parameters.
        schedule: From the number of optimiser steps an epoch to the schedule. A parameter group's
            rate is multiplied by its `lr_scale`, if it has one.
        epochs: Passes over the data set.
        batch_size: Samples a forward pass.
        accumulate: Forward passes an optimiser step; their mean loss is minimised.
        seed: The run's seed.
        device: Where the model is.
        precision: `float32`, or `bfloat16` for autocast.
        compile_model: Whether to use `torch.compile`.
        workers: Loader processes.
        checkpoint: Resumes from there if it exists, and saves there.
        score: Called after each epoch with the model in evaluation mode; the highest wins.
        on_epoch: Called with the epoch's number, from 1, and its curves.

    Returns:
        One mapping an epoch: `epoch`, `lr`, the mean of each named loss, and `score`.

    Raises:
        UserError: If the loss stops being a finite number, or the checkpoint cannot be used.
    """
    sampler = EpochSampler(len(dataset), seed=seed)  # type: ignore[arg-type]
    loader = training_loader(
        dataset,
        sampler,
        batch_size=batch_size,
        workers=workers,
        pin_memory=device.type == "cuda",
    )
    accumulate = min(accumulate, len(loader))
    steps_per_epoch = len(loader) // accumulate
    rates = schedule(steps_per_epoch)
    progress = _resume(model, optimizer, checkpoint)
    forward = torch.compile(model) if compile_model else model
    for epoch in range(progress.epoch, epochs):
        torch.manual_seed(sample_seed(seed, epoch, "network"))  # dropout and drop path
        sampler.epoch = epoch
        model.train()
        sums: dict[str, Tensor] = {}  # kept on the device: reading them would wait for it
        batches = 0
        first_step = epoch * steps_per_epoch
        for index, (inputs, targets) in enumerate(track(loader, f"epoch {epoch + 1}/{epochs}")):
            if index // accumulate >= steps_per_epoch:
                break  # an incomplete last group of batches makes no step
            if index % accumulate == 0:
                for group in optimizer.param_groups:
                    step = first_step + index // accumulate
                    group["lr"] = rates.lr_at(step, group.get("lr_scale", 1.0))
                optimizer.zero_grad(set_to_none=True)
            inputs = inputs.to(device, non_blocking=True)
            targets = targets.to(device, non_blocking=True)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                output = forward(inputs)
            losses = loss(output, targets)
            (losses["loss"] / accumulate).backward()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.detach().float()
            batches += 1
            if (index + 1) % accumulate == 0:
                optimizer.step()
        means = {name: value.item() / batches for name, value in sums.items()}
        if not math.isfinite(means["loss"]):
            raise UserError(
                f"the loss became {means['loss']} in epoch {epoch + 1}; lower the learning rate or "
                "use float32 precision."
            )
        values = {"epoch": float(epoch + 1), "lr": optimizer.param_groups[-1]["lr"], **means}
        if score is not None:
            model.eval()
            values["score"] = score(model)
            if values["score"] > progress.best_score:
                progress.best_score = values["score"]
                progress.best_weights = {
                    name: tensor.detach().to("cpu", copy=True)
                    for name, tensor in model.state_dict().items()
                }
        progress.history.append(values)
        progress.epoch = epoch + 1
        on_epoch(epoch + 1, values)
        if checkpoint is not None and (epoch + 1) % checkpoint.every == 0 and epoch + 1 < epochs:
            _save(model, optimizer, progress, checkpoint)
    if progress.best_weights is not None:
        model.load_state_dict(progress.best_weights)
    model.eval()
    return progress.history


def _save(
    model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, checkpoint: Checkpoint
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
    }
    with replace_file(checkpoint.path) as temporary:
        torch.save(state, temporary)


def _resume(
    model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Checkpoint | None
) -> Progress:
    """Loads weights, optimiser and progress, if there is a checkpoint for just these settings.

    Raises:
        UserError: If it is damaged, or the network has changed since.
    """
    if checkpoint is None or not checkpoint.path.is_file():
        return Progress()
    try:
        state = torch.load(checkpoint.path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return Progress(**state["progress"])
    except (pickle.UnpicklingError, EOFError, RuntimeError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{checkpoint.path} cannot be resumed from; remove it to start afresh. "
            f"Got: {type(error).__name__}: {reason}"
        ) from None
