"""Finds the first step whose loss is not finite, without waiting for a GPU at every step."""

from collections.abc import Callable

import torch
from torch import Tensor

from weaktr.errors import UserError


class LossWatch:
    """Is shown the loss of every step; the device keeps the number of the first bad one.

    Args:
        every: Steps between two looks at what the device found.
        describe: From a step's number to when it was and what was in it.
    """

    def __init__(self, *, every: int, describe: Callable[[int], str]) -> None:
        self.every = every
        self.describe = describe
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
        self._first = torch.where(bad & (first < 0), step, first)
        if step % self.every == 0:
            self.check()

    def check(self) -> None:
        """Looks at what the device found.

        Raises:
            UserError: If some loss was not finite.
        """
        step = -1 if self._first is None else int(self._first)
        if step >= 0:
            raise UserError(
                f"the loss is no finite number any more: {self.describe(step)}; lower the learning "
                "rate or use float32 precision. The last checkpoint is from before that step."
            )
