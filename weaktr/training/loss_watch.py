"""Finds the first step whose loss is not finite, without waiting for a GPU at every step."""

from collections.abc import Callable

import torch
from torch import Tensor

from weaktr.errors import UserError

MIN_SCALE = 2.0**-10
"""A loss that is scaled below this has gradients beyond float16 at its own size, step after step:
each such step is left out and halves the scale, from 65,536 on."""
WAY_OUT = "lower the learning rate or use bfloat16 or float32 precision"


class LossWatch:
    """Is shown the loss of every step; the device keeps the number of the first bad one.

    Under float16, a step whose *gradients* overflow is left out by the scaler and is no error; one
    whose loss is not finite is, as no scale mends that.

    Args:
        every: Steps between two looks at what the device found.
        describe: From a step's number to when it was and what was in it.
        scaler: Of the loss.
    """

    def __init__(
        self, *, every: int, describe: Callable[[int], str], scaler: torch.amp.GradScaler
    ) -> None:
        self.every = every
        self.describe = describe
        self.scaler = scaler
        self._first: Tensor | None = None

    def see(self, step: int, loss: Tensor) -> None:
        """Notes a step.

        Args:
            step: Its number.
            loss: Its loss, or a sum with the losses before: once not finite, that stays so.

        Raises:
            UserError: If this is a step to look, and some loss was not finite.
        """
        bad = ~torch.isfinite(loss)
        first = torch.full_like(bad, -1, dtype=torch.int64) if self._first is None else self._first
        here = torch.full_like(first, step)  # a plain number would be copied there, and waited for
        self._first = torch.where(bad & (first < 0), here, first)
        if step % self.every == 0:
            self.check()

    def check(self) -> None:
        """Looks at what the device found.

        Raises:
            UserError: If some loss was not finite, or gradients overflow whatever the scale.
        """
        step = -1 if self._first is None else int(self._first)
        if step >= 0:
            raise UserError(
                f"the loss is no finite number any more: {self.describe(step)}; {WAY_OUT}. The "
                "last checkpoint is from before that step."
            )
        if self.scaler.is_enabled() and self.scaler.get_scale() < MIN_SCALE:
            raise UserError(
                "the gradients overflow float16 at every step, so that nothing is learned any "
                f"more; {WAY_OUT}. Checkpoints stay as they were before."
            )
