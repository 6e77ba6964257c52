"""What stages say on the terminal: a line per epoch while they train, and one at their end."""

import time
from collections.abc import Mapping

import typer

from stages.common.stage import Result
from stages.common.titles import title_of

NEXT = (
    ("the report", "reports/report/report.html"),
    ("the segmenter", "models/segmenter: weaktr predict models/segmenter PHOTOS"),
    ("the masks", "data/predictions; data/pseudo-labels of the training images"),
    ("other results", "weaktr runs, make ui, dvc exp show --only-changed --drop '.*/'"),
)


def result_text(metrics: Mapping[str, float]) -> str:
    """The numbers of a result, and where to look.

    Args:
        metrics: As in `metrics.json`.
    """
    lines = []
    for name, value in metrics.items():
        number = str(value) if isinstance(value, int) else f"{value:.1f}"
        lines.append(f"{name:<14}{number:>6}   {title_of(name)}")
    lines += ["", *(f"{what:<14} {where}" for what, where in NEXT)]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """`14 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class EpochLines:
    """Says after each epoch how it went, how long it took and what is left.

    Args:
        name: Of the stage.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = time.monotonic()

    def say(self, values: Mapping[str, float], epochs: int) -> None:
        """Prints one epoch's line, with its losses, its score and what clipping leaves out.

        Args:
            values: The epoch's curves, with its number under `epoch`.
            epochs: How many there will be.
        """
        now = time.monotonic()
        took, self.last = now - self.last, now
        epoch = int(values["epoch"])
        numbers = "  ".join(
            f"{name.removeprefix('loss_')} {value:.4g}"
            for name, value in values.items()
            if name in ("score", "clipped_objects") or name.startswith("loss")
        )
        left = f", {duration(took * (epochs - epoch))} left" if epoch < epochs else ""
        typer.echo(f"{self.name} {epoch}/{epochs}  {numbers}  ({duration(took)}{left})")


def result_line(name: str, result: Result, seconds: float) -> str:
    """`evaluate: mIoU 83.8 (150 val images, 14 s) -> data/predictions`."""
    made = f"{result.made}, {duration(seconds)}"
    said = f"{result.number} ({made})" if result.number else made
    return f"{name}: {said} -> {result.where.as_posix()}"
