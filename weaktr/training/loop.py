"""The one training loop, for the CAM network and for the segmenter."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from weaktr.errors import UserError
from weaktr.progress import track
from weaktr.training.checkpoint import Checkpoint, Progress
from weaktr.training.sampling import EpochSampler, sample_seed, training_loader
from weaktr.training.schedules import Schedule

Batch = tuple[Tensor, Tensor]
Losses = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train, whatever the network.

    Args:
        epochs: Passes over the data set.
        batch_size: Samples per forward pass.
        accumulate: Forward passes per optimiser step; their mean loss is minimised.
        seed: The run's seed.
        precision: `float32`, or `bfloat16` for autocast.
        compile: Whether to use `torch.compile`.
        workers: Loader processes, none of which changes a result; 0 loads in this one.
    """

    epochs: int
    batch_size: int
    accumulate: int = 1
    seed: int = 0
    precision: str = "float32"
    compile: bool = False
    workers: int = 0


def train(
    model: nn.Module,
    dataset: Dataset[Batch],
    loss: Callable[[Any, Tensor], Losses],
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], Schedule],
    settings: TrainingSettings,
    *,
    checkpoint: Checkpoint | None = None,
    score: Callable[[nn.Module], float] | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, values: None,
) -> list[dict[str, float]]:
    """Trains in place and returns the curves.

    Every random draw comes from (seed, epoch, sample) or (seed, epoch): on a CPU, a run that was
    killed and resumed ends with the same bits as one that was not.

    Args:
        model: Trained in place, on the device where it is. If `score` is given it ends with the
            best epoch's weights, else with the last epoch's.
        dataset: Takes `(epoch, index)`, gives an input and a target without the batch dimension.
        loss: From the model's output and the batch of targets to named losses; `loss` is minimised,
            the others are only recorded.
        optimizer: Over the model's parameters.
        schedule: From the number of optimiser steps per epoch to the schedule. A parameter group's
            rate is multiplied by its `lr_scale`, if it has one.
        settings: Length, batches, precision, seed.
        checkpoint: Resumes from there if it exists, and saves there.
        score: Called after each epoch with the model in evaluation mode; the highest wins.
        on_epoch: Called with the epoch's number, from 1, and its curves.

    Returns:
        One mapping per epoch: `epoch`, `lr`, the mean of each named loss, and `score`.

    Raises:
        UserError: If the loss stops being a finite number, or the checkpoint cannot be used.
    """
    device = next(model.parameters()).device
    sampler = EpochSampler(len(dataset), seed=settings.seed)  # type: ignore[arg-type]
    loader = training_loader(
        dataset,
        sampler,
        batch_size=settings.batch_size,
        workers=settings.workers,
        pin_memory=device.type == "cuda",
    )
    accumulate = min(settings.accumulate, len(loader))
    steps = len(loader) // accumulate
    rates = schedule(steps)
    progress = checkpoint.resume(model, optimizer) if checkpoint else Progress()
    forward = torch.compile(model) if settings.compile else model
    half = settings.precision == "bfloat16"

    def batch_loss(batch: Batch) -> Losses:
        inputs, targets = (x.to(device, non_blocking=True) for x in batch)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            output = forward(inputs)
        return loss(output, targets)

    for epoch in range(progress.epoch, settings.epochs):
        torch.manual_seed(sample_seed(settings.seed, epoch, "network"))  # dropout and drop path
        sampler.epoch = epoch
        model.train()
        means = train_epoch(
            track(loader, f"epoch {epoch + 1}/{settings.epochs}"),
            batch_loss,
            optimizer,
            rates,
            steps=range(epoch * steps, (epoch + 1) * steps),
            accumulate=accumulate,
        )
        if not math.isfinite(means["loss"]):
            raise UserError(
                f"the loss became {means['loss']} in epoch {epoch + 1}; lower the learning rate or "
                "use float32 precision."
            )
        values = {"epoch": float(epoch + 1), "lr": optimizer.param_groups[-1]["lr"], **means}
        if score is not None:
            model.eval()
            values["score"] = score(model)
            progress.keep_if_best(values["score"], model)
        progress.history.append(values)
        progress.epoch = epoch + 1
        on_epoch(epoch + 1, values)
        if checkpoint is not None and checkpoint.is_due(epoch + 1, settings.epochs):
            checkpoint.save(model, optimizer, progress)
    if progress.best_weights is not None:
        model.load_state_dict(progress.best_weights)
    model.eval()
    return progress.history


def train_epoch(
    batches: Iterable[Batch],
    batch_loss: Callable[[Batch], Losses],
    optimizer: torch.optim.Optimizer,
    rates: Schedule,
    *,
    steps: range,
    accumulate: int,
) -> dict[str, float]:
    """Takes the optimiser steps of one epoch.

    Args:
        batches: At least `accumulate` for every step; what is left over makes no step.
        batch_loss: From a batch to its named losses; the mean of `loss` is minimised.
        optimizer: Takes the steps.
        rates: Gives every step's learning rate.
        steps: Numbers of the steps, counted from the beginning of the training.
        accumulate: Batches per step.

    Returns:
        The mean of each named loss.
    """
    stream = iter(batches)
    sums: dict[str, Tensor] = {}  # kept on the device: reading them would wait for it
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = rates.lr_at(step, group.get("lr_scale", 1.0))
        optimizer.zero_grad(set_to_none=True)
        for batch in islice(stream, accumulate):
            losses = batch_loss(batch)
            (losses["loss"] / accumulate).backward()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.detach().float()
        optimizer.step()
    return {name: value.item() / (len(steps) * accumulate) for name, value in sums.items()}
