"""The optimiser steps of an epoch, none of which waits for the device."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import islice

import torch
from torch import Tensor

from weaktr.distributed import all_sum, sum_gradients
from weaktr.training.loading import Batch
from weaktr.training.loss_watch import LossWatch
from weaktr.training.schedules import Schedule

Losses = Mapping[str, Tensor]


def train_epoch(
    batches: Iterable[Batch],
    batch_loss: Callable[[Batch], Losses],
    optimizer: torch.optim.Optimizer,
    rates: Schedule,
    *,
    steps: range,
    accumulate: int,
    sums: dict[str, Tensor],
    watch: LossWatch,
    scaler: torch.amp.GradScaler,
    whole_step: Callable[[int], AbstractContextManager[None]],
    gradient_facts: Callable[[], Losses] = dict,
) -> None:
    """Takes the optimiser steps of one epoch.

    Args:
        batches: At least `accumulate` for every step; what is left over makes no step.
        batch_loss: From a batch to its named losses; the mean of `loss` is minimised.
        optimizer: Takes the steps.
        rates: Gives every step's learning rate.
        steps: Numbers of the steps, counted from the beginning of the training.
        accumulate: Batches per step.
        sums: The losses are added to these, on the device: reading them would wait for it.
        watch: Sees the sum of `loss`.
        scaler: Scales the loss where gradients are float16, and leaves out steps whose gradients
            overflow; else it does nothing.
        whole_step: Around each step; given its number.
        gradient_facts: What to record of a step's gradients, which are those of all processes.
    """
    stream = iter(batches)
    for step in steps:
        with whole_step(step):
            for group in optimizer.param_groups:
                group["lr"] = rates.lr_at(step, group.get("lr_scale", 1.0))
            optimizer.zero_grad(set_to_none=True)
            for batch in islice(stream, accumulate):
                losses = batch_loss(batch)
                scaler.scale(losses["loss"] / accumulate).backward()
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + all_sum(value.detach().float())
            watch.see(step, sums["loss"])
            sum_gradients(p for group in optimizer.param_groups for p in group["params"])
            scaler.unscale_(optimizer)  # of the sum, so that all processes find the same overflows
            for name, value in gradient_facts().items():
                sums[name] = sums.get(name, 0.0) + accumulate * value
            scaler.step(optimizer)
            scaler.update()
