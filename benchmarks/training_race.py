"""What both training steps have in common: ours in two precisions, against two references."""

from collections.abc import Callable

from benchmarks.cases import Line, Race
from benchmarks.limits import Flops, count_flops
from benchmarks.measure import Step


def race_in_both_precisions(
    step: Callable[[str, str], Step], plain: str, published: str, setting: str
) -> Race:
    """A race of training steps.

    Args:
        step: Makes one by name (`ours`, or a reference's) and precision.
        plain: The reference that has the work that cannot be avoided; it runs in each precision.
        published: The reference that runs in float32 alone.
        setting: Sizes, without the precision.
    """
    work = count_flops(step(plain, "float32"))
    steps: dict[str, Step] = {published: step(published, "float32")}
    lines = []
    for precision in ("float32", "bfloat16"):
        for name in (plain, "ours"):
            steps[f"{name}, {precision}"] = step(name, precision)
        for against in (f"{plain}, {precision}", published):
            lines.append(
                Line(
                    setting=f"{setting}, {precision}",
                    ours=f"ours, {precision}",
                    against=against,
                    limit=Flops(work, precision),
                )
            )
    return Race(steps=steps, lines=lines)
