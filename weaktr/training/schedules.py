"""Learning rates as pure functions of the step, so that resuming needs no scheduler state."""

import math
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """A learning rate for every optimiser step."""

    def lr_at(self, step: int, scale: float = 1.0) -> float:
        """Learning rate of a parameter group at a step (0-based), `scale` times the base rate."""
        ...


@dataclass(frozen=True, kw_only=True)
class PolynomialSchedule:
    """Polynomial decay from `base_lr` to `min_lr` after a linear warm-up from `min_lr`.

    The warm-up ends on the decay curve, so the two pieces join. After `total_steps` the rate stays
    at `min_lr`.

    Args:
        base_lr: Rate of the decay curve at step 0.
        total_steps: Step at which `min_lr` is reached.
        power: Exponent of the decay.
        min_lr: Rate at the end, and at the start of a warm-up.
        warmup_steps: Length of the warm-up.
        published: Keep two slips of the published code: step 0 runs at the full rate even with a
            warm-up, and after `total_steps` a group's scale is multiplied in again every step.
            Without a warm-up and up to `total_steps` both settings give the same rates.

    >>> schedule = PolynomialSchedule(base_lr=1.0, total_steps=10, power=2, min_lr=0.0)
    >>> [schedule.lr_at(step) for step in (0, 5, 10, 11)]
    [1.0, 0.25, 0.0, 0.0]
    """

    base_lr: float
    total_steps: int
    power: float = 0.9
    min_lr: float = 1e-5
    warmup_steps: int = 0
    published: bool = False

    def lr_at(self, step: int, scale: float = 1.0) -> float:
        """Learning rate of a parameter group at a step (0-based), `scale` times the base rate."""
        if self.published:
            beyond = max(0, step - self.total_steps)
            rate = self.base_lr if step == 0 else self._curve(step)
            return rate * scale ** (1 + beyond)
        return self._curve(step) * scale

    def _curve(self, step: int) -> float:
        if step < self.warmup_steps:
            end = self._decay(self.warmup_steps)
            return self.min_lr + (end - self.min_lr) * step / self.warmup_steps
        return self._decay(step)

    def _decay(self, step: int) -> float:
        left = max(0.0, 1 - step / self.total_steps)
        return self.min_lr + (self.base_lr - self.min_lr) * left**self.power


@dataclass(frozen=True, kw_only=True)
class CosineSchedule:
    """Cosine decay over `epochs` with a linear warm-up inside it, then a cool-down at `min_lr`.

    At whole epochs the rates are those of `timm.scheduler.CosineLRScheduler` (one cycle, no warm-up
    prefix); between them the rate moves with every step.

    Args:
        base_lr: Peak rate.
        epochs: Length of the cosine cycle, warm-up included; later epochs run at `min_lr`.
        steps_per_epoch: Optimiser steps in an epoch.
        min_lr: Rate at the end of the cycle and in a cool-down.
        warmup_epochs: Length of the warm-up.
        warmup_lr: Rate at which the warm-up starts.
        published: One rate per epoch, and one epoch late: the published loop steps timm's scheduler
            with an epoch's own number only after that epoch.
    """

    base_lr: float
    epochs: int
    steps_per_epoch: int
    min_lr: float = 1e-5
    warmup_epochs: int = 0
    warmup_lr: float = 1e-6
    published: bool = False

    def lr_at(self, step: int, scale: float = 1.0) -> float:
        """Learning rate of a parameter group at a step (0-based), `scale` times the base rate."""
        if self.published:
            return self._at_epoch(max(0, step // self.steps_per_epoch - 1)) * scale
        return self._at_epoch(step / self.steps_per_epoch) * scale

    def _at_epoch(self, epoch: float) -> float:
        if epoch < self.warmup_epochs:
            return self.warmup_lr + (self.base_lr - self.warmup_lr) * epoch / self.warmup_epochs
        if epoch >= self.epochs:
            return self.min_lr
        cosine = math.cos(math.pi * epoch / self.epochs)
        return self.min_lr + 0.5 * (self.base_lr - self.min_lr) * (1 + cosine)
