"""What a benchmark consists of: cases, each of which makes steps to race and names its rows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from benchmarks.limits import Limit
from benchmarks.measure import Step
from benchmarks.memory import Kind


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row to be: one of our steps, and what it is compared with.

    Args:
        setting: Sizes and precision.
        ours: Name of our step.
        against: Name of the reference; `None` where there is none.
        limit: Work that cannot be avoided.
    """

    setting: str
    ours: str = "ours"
    against: str | None
    limit: Limit | None = None


@dataclass(frozen=True, kw_only=True)
class Race:
    """Steps that are timed in turns.

    Args:
        steps: By name.
        lines: Rows that come out of it.
        per: Images or samples of one call of each step, where they are not 1; seconds, ratios and
            limits are told for one of them; `Line.limit` is of a call.
        memory: What is counted as memory; `None`: nothing.
        notes: Sentences for under the table, asked for when all is timed.
    """

    steps: Mapping[str, Step]
    lines: Sequence[Line]
    per: Mapping[str, int] = field(default_factory=dict)
    memory: Kind | None = "tensors"
    notes: Callable[[], Sequence[str]] = tuple


@dataclass(frozen=True, kw_only=True)
class Case:
    """A race that has not begun.

    Args:
        family: Heading of its rows.
        name: What `--rows` looks for, with the family.
        seconds: Time to spend on rounds, on two cores; building and warming come on top.
        build: Makes the race. What must be undone afterwards goes on the stack.
    """

    family: str
    name: str
    seconds: float
    build: Callable[[torch.device, ExitStack], Race]

    @property
    def title(self) -> str:
        """Family and name."""
        return f"{self.family}, {self.name}"
