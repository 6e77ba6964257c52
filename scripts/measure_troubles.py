"""Which step loses how much under which trouble: collects the experiments of the bench.

    dvc exp run --queue -S '+recipes=trouble-none,trouble-context,...' -S seed=0,1,2
    dvc queue start
    python -m scripts.measure_troubles

(docs/evidence.md has the first line in full.) An experiment belongs to a recipe if its params are
those that the recipe sets. What is found is added to `docs/troubles.json`, and the table and the
heat map of docs/evidence.md are drawn from that file anew.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dvc.api

from scripts.measure_results import REPOSITORY
from scripts.pages import draw_map, mean_and_deviation, put_table
from weaktr.experiments.recipes import list_recipes, recipe_values
from weaktr.files import read_json, write_json

PREFIX, PLAIN = "trouble-", "none"
LIFT = {"cam.fusion": "lift"}
STEPS = {
    "map_val": "tags (val mAP)",
    "miou_coarse": "coarse CAM (train)",
    "miou_seed": "fine CAM (train)",
    "miou_labels": "pseudo-label (train)",
    "miou_val": "segmenter (val)",
}
"""What is compared, by its name in `metrics.json`; mIoU in percent but for the first."""
NUMBERS = REPOSITORY / "docs/troubles.json"
PICTURE = REPOSITORY / "docs/images/troubles.png"
PAGE = REPOSITORY / "docs/evidence.md"
COMMITS = 20
"""The last ones, whose experiments are collected; of two alike, the newer one's counts."""
FINISHED = "Success"
"""DVC's state of an experiment that ran to its end."""
Numbers = dict[str, dict[str, dict[str, float]]]
"""By trouble, seed and step."""


def collect(experiments: list[dict[str, Any]], recipes: Mapping[str, Mapping[str, Any]]) -> Numbers:
    """The finished experiments of the bench.

    Args:
        experiments: As `dvc.api.exp_show` gives them: params and metrics by dotted key.
        recipes: For each trouble what its recipe sets, by dotted key.
    """
    found: Numbers = {}
    for experiment in experiments:
        if experiment.get("State") != FINISHED:  # DVC shows others with the workspace's metrics
            continue
        for trouble, values in recipes.items():
            if all(_same(experiment.get(key), values[key]) for key in values if key != "seed"):
                numbers = {step: float(experiment[step]) for step in STEPS}
                found.setdefault(trouble, {}).setdefault(str(int(experiment["seed"])), numbers)
    return found


def _same(given: object, wanted: object) -> bool:
    """Whether a param is what a recipe says; DVC gives numbers as floats, all else as text."""
    return given == (wanted if type(wanted) in (int, float) else str(wanted))


def bench() -> dict[str, dict[str, Any]]:
    """For each trouble what its recipe sets, alone and with heads that weigh by lift."""
    recipes = list_recipes(REPOSITORY)
    alone = {
        recipe.name.removeprefix(PREFIX): recipe_values(recipe.name, recipes)
        for recipe in recipes
        if recipe.name.startswith(PREFIX)
    }
    lifted = {f"{name}, by lift": {**set_, **LIFT} for name, set_ in alone.items()}
    return alone | lifted


def of_seeds(numbers: Numbers, trouble: str, step: str) -> list[float]:
    """A step's mIoU, one per seed."""
    return [of_seed[step] for of_seed in numbers[trouble].values()]


def in_order(numbers: Numbers) -> list[str]:
    """The plain set first, then troubles by what they cost the segmenter."""

    def cost(trouble: str) -> tuple[bool, float]:
        return trouble != PLAIN, statistics.mean(of_seeds(numbers, trouble, "miou_val"))

    return sorted(numbers, key=cost)


def table(numbers: Numbers) -> str:
    """Markdown: a row per trouble, mean ± deviation over its seeds; of one seed the mean alone."""
    lines = [
        "| trouble | seeds | " + " | ".join(STEPS.values()) + " |",
        "|---" * (len(STEPS) + 2) + "|",
    ]
    for trouble in in_order(numbers):
        seeds = len(numbers[trouble])
        cells = [mean_and_deviation(of_seeds(numbers, trouble, step)) for step in STEPS]
        lines.append(f"| {trouble} | {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(picture: Path, numbers: Numbers) -> None:
    """Draws the points that each step loses against the plain set."""
    rows = [trouble for trouble in in_order(numbers) if trouble != PLAIN]

    def mean(trouble: str, step: str) -> float:
        return statistics.mean(of_seeds(numbers, trouble, step))

    lost = [[mean(trouble, step) - mean(PLAIN, step) for step in STEPS] for trouble in rows]
    draw_map(picture, "points against the set without troubles", rows, list(STEPS.values()), lost)


def main(arguments: Sequence[str] | None = None) -> None:
    """Adds what is finished to docs/troubles.json; writes table and picture."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(arguments)
    numbers: Numbers = read_json(NUMBERS) if NUMBERS.is_file() else {}
    experiments = dvc.api.exp_show(str(REPOSITORY), num=COMMITS)
    for trouble, seeds in collect(experiments, bench()).items():
        numbers.setdefault(trouble, {}).update(seeds)
    if PLAIN not in numbers or len(numbers) < 2:
        raise SystemExit(
            "No finished experiments of the bench are here; docs/evidence.md tells how to run it."
        )
    write_json(NUMBERS, numbers)
    draw(PICTURE, numbers)
    put_table(PAGE, "troubles", table(numbers))


if __name__ == "__main__":
    main()
