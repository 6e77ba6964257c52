"""Stops that a training can be asked for, and where it takes them: between two steps."""

from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(SystemExit):
    """Leaves with a code, after what has been reached was saved."""


class Stop:
    """Wishes that come from outside of a training, such as signals.

    Attributes:
        wants_save: Whether a checkpoint was asked for; training goes on after it.
        code: To leave with, once a stop was asked for that is still held.
    """

    def __init__(self) -> None:
        self.wants_save = False
        self.code: int | None = None
        self._held = False

    def ask(self, code: int) -> None:
        """Stops at once, or, while stops are held, when the step is complete; asked twice, at once.

        Args:
            code: To leave with.

        Raises:
            Stopped: If stops are not held.
            SystemExit: If they are, and this is the second wish: nothing is saved then.
        """
        if not self._held:
            raise Stopped(code)
        if self.code is not None:
            raise SystemExit(code)
        self.code = code

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds stops while the block runs, in which weights and optimiser are not of one step.

        Raises:
            Stopped: At its end, if a stop was asked for.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.code is not None:
            raise Stopped(self.code)
