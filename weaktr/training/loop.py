"""The one training loop, for the CAM network and for the segmenter."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from weaktr.distributed import (
    all_max,
    all_sum,
    copy_from_first,
    from_first,
    is_first,
    rank,
    wait_for_all,
    world_size,
)
from weaktr.errors import UserError
from weaktr.precision import autocast, float32_products
from weaktr.progress import track
from weaktr.stopping import Stop, Stopped
from weaktr.training.checkpoint import Checkpoint, Progress
from weaktr.training.loading import Batch, WaitClock, training_loader, waiting_in_words
from weaktr.training.loss_watch import LossWatch
from weaktr.training.sampling import EpochSampler, sample_seed
from weaktr.training.schedules import Schedule
from weaktr.training.settings import TrainingSettings
from weaktr.training.steps import Losses, train_epoch

LOOK_EVERY = 50
"""Steps after which a GPU is asked whether all losses were finite."""
NAMED = 8
"""Samples of a step that a message names."""


def train(
    model: nn.Module,
    dataset: Dataset[Batch],
    loss: Callable[[Any, Tensor], Losses],
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], Schedule],
    settings: TrainingSettings,
    *,
    checkpoint: Checkpoint | None = None,
    stop: Stop | None = None,
    score: Callable[[nn.Module], float] | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, values: None,
    on_resume: Callable[[list[dict[str, float]]], None] = lambda history: None,
    name_of: Callable[[int], str] = str,
    gradient_facts: Callable[[], Losses] = dict,
    say: Callable[[str], None] = lambda line: None,
) -> list[dict[str, float]]:
    """Trains in place and returns the curves.

    Every random draw comes from (seed, epoch, sample) or (seed, step): on a CPU, a run that was
    stopped at any moment and resumed ends with the same bits as one that was not.

    Several processes (`weaktr.distributed`) take the steps of one: each works on its share of every
    batch, and gradients are summed. Only dropout and drop path are drawn by each one for itself.

    Args:
        model: Trained in place, on the device where it is. If `score` is given it ends with the
            best epoch's weights, else with the last epoch's.
        dataset: Takes `(epoch, index)`, gives an input and a target without the batch dimension.
        loss: From the model's output and the batch of targets to named losses; `loss` is minimised,
            the others are only recorded. Those of all processes are summed: each gives its part of
            the batch's mean.
        optimizer: Over the model's parameters.
        schedule: From the number of optimiser steps per epoch to the schedule. A parameter group's
            rate is multiplied by its `lr_scale`, if it has one.
        settings: Length, batches, precision, seed.
        checkpoint: Resumes from there if it exists, and saves there, also when all is done.
        stop: Asks from outside to save, or to save and leave.
        score: Called after each epoch with the model in evaluation mode; the highest wins.
        on_epoch: Called with the epoch's number, from 1, and its curves.
        on_resume: Called with the curves of the epochs that earlier runs have completed, if any.
        name_of: From the index of a sample to its name, for messages.
        gradient_facts: Called after every backward pass; means of what it gives are recorded too.
        say: Is told, once, if training waits long for its batches.

    Returns:
        One mapping per epoch: `epoch`, `lr`, the mean of each named loss, and `score`.

    Raises:
        UserError: If the loss, the score or a weight stops being a finite number, checkpoints
            cannot be kept, or there are more processes than samples in a batch.
        Stopped: If `stop` was asked to leave; a checkpoint was written.
    """
    _refuse_empty_shares(settings.batch_size, len(dataset))  # type: ignore[arg-type]
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
    samples = accumulate * settings.batch_size
    rates = schedule(steps)
    stop = stop or Stop()
    progress = checkpoint.resume(model, optimizer) if checkpoint else Progress()
    _begin_together(model, progress)
    progress.sums = {name: value.to(device) for name, value in progress.sums.items()}
    if checkpoint is not None and (progress.epoch or progress.step):
        checkpoint.say(f"{checkpoint.name} goes on after {_reached(progress, steps, settings)}")
    if progress.history:
        on_resume(progress.history)
    began = progress.epoch
    forward = torch.compile(model) if settings.compile else model
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
    if progress.scaling:
        scaler.load_state_dict(progress.scaling)

    def batch_loss(batch: Batch, network: Callable[[Tensor], Any] = forward) -> Losses:
        inputs, targets = (x.to(device, non_blocking=True) for x in batch)
        with autocast(settings.precision, device):
            output = network(inputs)
        return loss(output, targets)

    def describe(step: int) -> str:
        epoch, place = divmod(step, steps)
        names = [name_of(i) for i in sampler.order(epoch)[place * samples :][:samples]]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return (
            f"step {place + 1} of epoch {epoch + 1}, learning rate {rates.lr_at(step):.3g}, "
            f"samples {', '.join(names[:NAMED])}{more}"
        )

    watch = LossWatch(
        every=1 if device.type == "cpu" else LOOK_EVERY, describe=describe, scaler=scaler
    )

    def save(*, is_complete: bool = False) -> None:
        watch.check()
        stop.wants_save = False
        if checkpoint is not None and is_first():
            progress.scaling = scaler.state_dict()
            checkpoint.save(model, None if is_complete else optimizer, progress)

    @contextmanager
    def whole_step(step: int) -> Iterator[None]:
        own = (rank(),) if rank() else ()
        torch.manual_seed(sample_seed(settings.seed, step, "network", *own))  # dropout, drop path
        with stop.held():
            yield
            progress.step += 1
        stop.take(all_max)  # all stop after the same step
        if is_first() and (stop.wants_save or (checkpoint is not None and checkpoint.is_due())):
            save()

    def finish_epoch(values: dict[str, float]) -> None:
        if score is not None:
            values["score"] = score(model)
            _require_finite(values["score"], f"the score of epoch {progress.epoch + 1}")
        with stop.held():
            if score is not None:
                progress.keep_if_best(values["score"], model)
            progress.history.append(values)
            progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
        stop.take(all_max)

    def one_epoch(epoch: int) -> None:
        sampler.begin(epoch, skip=progress.step * samples)
        model.train()
        left = range(epoch * steps + progress.step, (epoch + 1) * steps)
        title = f"epoch {epoch + 1}/{settings.epochs}"
        clock = WaitClock()
        train_epoch(
            track(clock.watch(loader), title, total=len(left) * accumulate),
            batch_loss,
            optimizer,
            rates,
            steps=left,
            accumulate=accumulate,
            sums=progress.sums,
            watch=watch,
            scaler=scaler,
            whole_step=whole_step,
            gradient_facts=gradient_facts,
        )
        watch.check()
        if epoch == began and is_first() and (line := waiting_in_words(clock.share, loader)):
            say(line)
        model.eval()
        is_last = epoch + 1 == settings.epochs
        if is_last:  # what the very last step did, no loss of the training has seen
            sampler.begin(epoch)
            with torch.no_grad():
                seen = all_sum(batch_loss(next(iter(loader)), model)["loss"]).item()
            _require_finite(seen, "the loss after the last step")
        means = {k: v.item() / (steps * accumulate) for k, v in progress.sums.items()}
        lr = optimizer.param_groups[-1]["lr"]
        finish_epoch({"epoch": float(epoch + 1), "lr": lr, **means})
        if is_last:
            save(is_complete=True)
        on_epoch(epoch + 1, progress.history[-1])

    with ExitStack() as whole:
        whole.enter_context(float32_products(settings.precision, device))
        if world_size() > 1:  # else one would leave alone
            whole.enter_context(stop.held())
        try:
            for epoch in range(progress.epoch, settings.epochs):
                one_epoch(epoch)
            stop.take(all_max)
        except Stopped:
            save()
            wait_for_all()  # a launcher ends the others as soon as one has left
            if checkpoint is not None:
                reached = _reached(progress, steps, settings)
                lost = "; no checkpoint of it could be written" if checkpoint.failed else ""
                checkpoint.say(f"{checkpoint.name} stopped after {reached}{lost}")
            raise
    if progress.best_weights is not None:
        model.load_state_dict(progress.best_weights)
    model.eval()
    return progress.history


def _refuse_empty_shares(batch_size: int, samples: int) -> None:
    """Every process needs a sample of every batch."""
    batch = min(batch_size, samples)
    if batch < world_size():
        raise UserError(
            f"a batch of {batch} images cannot be shared by {world_size()} processes; raise "
            "batch_size, or lower runtime.devices."
        )


def _begin_together(model: nn.Module, progress: Progress) -> None:
    """Makes sure that all processes begin at one place, with the same weights to the bit.

    Raises:
        UserError: If they do not see the same checkpoint.
    """
    own = (progress.epoch, progress.step)
    first = from_first(own)
    if first != own:
        raise UserError(
            f"process {rank()} sees a checkpoint of epoch and step {own}, and the first process "
            f"one of {first}; all machines have to share the project's folder."
        )
    copy_from_first(model)


def _require_finite(value: float, what: str) -> None:
    if not math.isfinite(value):
        raise UserError(
            f"{what} is {value}, no finite number; lower the learning rate or use bfloat16 "
            "or float32 precision. Checkpoints stay as they were before."
        )


def _reached(progress: Progress, steps: int, settings: TrainingSettings) -> str:
    """`epoch 3 of 8`, `epoch 3 of 8 and step 17 of 62`."""
    within = f" and step {progress.step} of {steps}" if progress.step else ""
    return f"epoch {progress.epoch} of {settings.epochs}{within}"
