"""`weaktr recipes`: list, show and use recipes."""

import contextlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaktr.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from weaktr.experiments.ladder import Rung
    from weaktr.experiments.recipes import Recipe

HUB = "timm/"
WEIGHTS_URL = "https://huggingface.co/{}/resolve/main/model.safetensors"
NOTE = (
    "Numbers are mIoU in percent as published (WeakTr, arXiv 2304.01184), not measured here.\n"
    "weaktr recipes NAME shows one, step by step; dvc exp run -S '+recipes=NAME' runs it, and "
    "'+recipes=[NAME,NAME]' two."
)
ELSEWHERE = "(in the project's folder; this one has no params.yaml and recipes/)"
PARAMS_FILE = Path("params.yaml")


def recipe_names(incomplete: str) -> list[str]:
    """What the shell proposes."""
    with contextlib.suppress(UserError):  # a prompt is no place for sentences
        known = known_recipes(PARAMS_FILE if in_project() else None)
        return [recipe.name for recipe in known if recipe.name.startswith(incomplete)]
    return []


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Show this one.",
            show_default=False,
            autocompletion=recipe_names,
        ),
    ] = None,
    use: Annotated[
        list[str] | None,
        typer.Option(
            help="Write this recipe's values into the params file; the rest of it stays. Again for "
            "another one on top.",
            show_default=False,
            autocompletion=recipe_names,
        ),
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(help="Params file; recipes/ lies beside it.", show_default="params.yaml"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With NAME: print everything as JSON.")
    ] = False,
) -> None:
    """List the recipes, what they need and should reach.

    With a NAME, a published recipe shows its steps as a ladder: the published value of each, what
    usually goes wrong where one falls behind and what to turn, and an estimate of GPU hours.

    A recipe is a set of params: a published setting, an ablation, the demo. To run one without
    touching params.yaml by hand: dvc exp run -S '+recipes=NAME'. Outside of a project, the recipes
    that came with the package are listed and shown.

    \b
    weaktr recipes
    weaktr recipes voc12-vit-s
    weaktr recipes voc12-vit-s --json | jq '.ladder'
    weaktr recipes --use voc12-vit-s && dvc repro
    weaktr recipes --use demo --use ablation-mean-fusion
    """
    from rich.console import Console

    console = Console()
    if name is not None and use:
        raise UserError(f"give a recipe to show or --use, not both. Got: {name!r} and {use[0]!r}.")
    if as_json and name is None:
        raise UserError("--json shows one recipe; name it: weaktr recipes NAME --json.")
    if use:
        use_on_top(use, params or PARAMS_FILE, console)
        return
    if params is None and in_project():
        params = PARAMS_FILE
    if as_json and name is not None:
        show_json(name, params)
    elif name is not None:
        show(name, params, console)
    else:
        show_all(params, console)


def in_project() -> bool:
    """Whether this folder has params and recipes."""
    from weaktr.experiments.recipes import FOLDER

    return PARAMS_FILE.is_file() and Path(FOLDER).is_dir()


def known_recipes(params_file: Path | None) -> "list[Recipe]":
    """The recipes beside the params, or else those of the package."""
    from weaktr.experiments.recipes import list_recipes, packaged_recipes

    return list_recipes(params_file.absolute().parent) if params_file else packaged_recipes()


def show_all(params_file: Path | None, console: "Console") -> None:
    """Prints the recipes: whole ones, then what goes on top of them.

    Args:
        params_file: The params that they lie beside; `None`: those of the package.
        console: Where to.
    """
    from rich.table import Table

    whole = Table("recipe", "data", "pretrained weights", "published", title="Recipes")
    partial = Table("recipe", "what", "pretrained weights", title="On top of a recipe")
    for table in (whole, partial):
        table.title_justify = "left"
        for column in table.columns:
            column.overflow = "fold"
        table.columns[0].no_wrap = True
    for recipe in known_recipes(params_file):
        about = recipe.about
        weights = "\n".join(about.weights)
        if about.data:
            whole.add_row(recipe.name, about.data, weights, "\n".join(_published(recipe)))
        else:
            partial.add_row(recipe.name, about.title, weights)
    console.print(whole)
    console.print(partial)
    for note in (NOTE, *([] if params_file else [ELSEWHERE])):
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def show(name: str, params_file: Path | None, console: "Console") -> None:
    """Prints one recipe: what it needs and reaches, how to run it, what it changes.

    Args:
        name: The recipe.
        params_file: The params that it would change; `None`: it is one of the package's.
        console: Where to.

    Raises:
        UserError: If there is no such recipe or it does not fit the params.
    """
    from weaktr.experiments.ladder import ladder
    from weaktr.experiments.recipes import changes, recipe_named, recipe_values

    recipes = known_recipes(params_file)
    recipe = recipe_named(name, recipes)
    values = recipe_values(name, recipes)
    if params_file is None:
        effect = f"What it sets in params.yaml ({len(values)}):"
        lines = [f"{key}: {_yaml(value)}" for key, value in values.items()]
    else:
        differences = changes([name], params_file)
        effect = f"What it changes in {params_file} ({len(differences)}):"
        lines = [f"{k}: {_yaml(now)} -> {_yaml(then)}" for k, (now, then) in differences.items()]

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line(f"{name}: {recipe.about.title}")
    if recipe.about.data:
        line(f"data       {recipe.about.data}")
    for weights in recipe.about.weights:
        line(f"weights    {weights}")
        if weights.startswith(HUB):
            line(f"           from the hub, or by hand: {WEIGHTS_URL.format(weights)}")
    line(f"run        dvc exp run -S '+recipes={name}'")
    line(f"or         weaktr recipes --use {name} && dvc repro")
    if params_file is None:
        line(f"           {ELSEWHERE}")
    line(f"\n{effect}")
    for text in lines:
        line(f"  {text}")
    if rungs := ladder(recipe, values.get("dataset.kind", "")):
        line("\nPublished mIoU in %, not measured here; `weaktr report` shows yours beside it:")
        for rung in rungs:
            _show_rung(rung, console)
    if recipe.about.data:
        _show_cost(values, console)


def _show_rung(rung: "Rung", console: "Console") -> None:
    """A step and its value, then why it falls behind, each reason with what to turn."""
    from rich.padding import Padding
    from rich.text import Text

    value = "not given" if math.isnan(rung.published) else f"{rung.published:.1f}"
    console.print(
        f"  {rung.metric:<12} {value:>9}  {rung.step}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    for reason in rung.reasons:
        text = Text(f"{reason.why} Turn: {reason.turn}.", style="dim")
        console.print(Padding(text, (0, 0, 0, 6)), highlight=False)


def _show_cost(values: dict[str, Any], console: "Console") -> None:
    """FLOPs and hours of every step."""
    from rich.table import Table

    from weaktr.experiments.cost import ASSUMED, recipe_cost
    from weaktr.experiments.recipes import typed_params

    data, steps = recipe_cost(typed_params(values))
    title = f"Cost: {data.name}, {data.train:,} training images, {data.evaluated:,} evaluated"
    made = Table("step", box=None, pad_edge=False, title=title, title_justify="left")
    for column in ("precision", "FLOPs", "GPU hours"):
        made.add_column(column, justify="right")
    for step in steps:
        made.add_row(step.step, step.precision, f"{step.flops:.1e}", _hours(step.hours))
    made.add_row("in all", "", "", _hours(sum(step.hours for step in steps)))
    console.print()
    console.print(made)
    console.print(ASSUMED, markup=False, highlight=False)


def show_json(name: str, params_file: Path | None) -> None:
    """Prints one recipe as JSON; arguments and errors as for `show`."""
    from weaktr.experiments.cost import ASSUMED, RATES, recipe_cost
    from weaktr.experiments.ladder import ladder
    from weaktr.experiments.recipes import recipe_named, recipe_values, typed_params

    recipes = known_recipes(params_file)
    recipe = recipe_named(name, recipes)
    values = recipe_values(name, recipes)
    cost = None
    if recipe.about.data:
        data, steps = recipe_cost(typed_params(values))
        cost = {
            "assumed": ASSUMED,
            "data": asdict(data),
            "steps": [
                {**asdict(step), "flop_per_s": RATES[step.precision], "gpu_hours": step.hours}
                for step in steps
            ],
        }
    rungs = [asdict(rung) for rung in ladder(recipe, values.get("dataset.kind", ""))]
    for rung in rungs:
        rung["published"] = None if math.isnan(rung["published"]) else rung["published"]
    told = {"name": name, **recipe.about.model_dump(), "values": values}
    typer.echo(json.dumps({**told, "ladder": rungs, "cost": cost}, indent=2, ensure_ascii=False))


def use_on_top(names: Sequence[str], params_file: Path, console: "Console") -> None:
    """Lays recipes over the params file.

    Raises:
        UserError: If one does not exist or the result does not validate; nothing is written then.
    """
    from weaktr.experiments.recipes import changes, use_recipes

    differences = changes(names, params_file)
    use_recipes(names, params_file)
    text = f"{params_file}: {len(differences)} values changed by {', '.join(names)}."
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _published(recipe: "Recipe") -> list[str]:
    return [f"{what} {miou:.1f}" for what, miou in recipe.about.published.items()]


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours >= 0.01 else "< 0.01"


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
