"""Stops that a training can be asked for, and where it takes them: between two steps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

APART = 3.0
"""Seconds within which a wish is the one before: a scheduler, a launcher and a terminal may each
pass on the same."""


class Stopped(SystemExit):
    """Leaves with a code, after what has been reached was saved."""


class Stop:
    """Wishes that come from outside of a training, such as signals.

    Args:
        apart: Seconds after which a second wish is one.

    Attributes:
        wants_save: Whether a checkpoint was asked for; training goes on after it.
        code: To leave with, once a stop was asked for.
    """

    def __init__(self, apart: float = APART) -> None:
        self.apart = apart
        self.wants_save = False
        self.code: int | None = None
        self._asked = 0.0
        self._held = 0

    def ask(self, code: int) -> None:
        """Stops at once, or, while stops are held, when they are taken; asked again, at once.

        Args:
            code: To leave with.

        Raises:
            Stopped: If stops are not held.
            SystemExit: If this is a second wish: what is being saved is given up.
        """
        if self.code is not None:
            if time.monotonic() - self._asked < self.apart:
                return
            raise SystemExit(code)
        self._note(code)
        if not self._held:
            raise Stopped(code)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only notes a stop while the block runs, in which weights and optimiser do not agree."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def take(self, agree: Callable[[int], int] = int) -> None:
        """Takes a stop that was noted.

        Args:
            agree: From this process's code, 0 for none, to the one of all processes.

        Raises:
            Stopped: If a stop was asked for.
        """
        code = agree(self.code or 0)
        if code:
            if self.code is None:
                self._note(code)
            raise Stopped(code)

    def _note(self, code: int) -> None:
        self.code, self._asked = code, time.monotonic()
