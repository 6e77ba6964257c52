"""`weaktr recipes`: list, show and use recipes."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weaktr.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from weaktr.experiments.recipes import Recipe

HUB = "timm/"
WEIGHTS_URL = "https://huggingface.co/{}/resolve/main/model.safetensors"
NOTE = (
    "Numbers are mIoU in percent as published (WeakTr, arXiv 2304.01184), not measured here.\n"
    "weaktr recipes NAME shows one; dvc exp run -S '+recipes=NAME' runs it, and "
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
) -> None:
    """List the recipes, what they need and should reach.

    A recipe is a set of params: a published setting, an ablation, the demo. To run one without
    touching params.yaml by hand: dvc exp run -S '+recipes=NAME'. Outside of a project, the recipes
    that came with the package are listed and shown.

    \b
    weaktr recipes
    weaktr recipes voc12-vit-s
    weaktr recipes --use voc12-vit-s && dvc repro
    weaktr recipes --use demo --use ablation-mean-fusion
    """
    from rich.console import Console

    console = Console()
    if name is not None and use:
        raise UserError(f"give a recipe to show or --use, not both. Got: {name!r} and {use[0]!r}.")
    if use:
        use_on_top(use, params or PARAMS_FILE, console)
        return
    if params is None and in_project():
        params = PARAMS_FILE
    if name is not None:
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
    from weaktr.experiments.recipes import changes, recipe_named, recipe_values

    recipes = known_recipes(params_file)
    recipe = recipe_named(name, recipes)
    if params_file is None:
        values = recipe_values(name, recipes)
        effect = f"It sets {len(values)} values of params.yaml:"
        lines = [f"{key}: {_yaml(value)}" for key, value in values.items()]
    else:
        differences = changes([name], params_file)
        effect = f"It changes {len(differences)} values of {params_file}:"
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
    for number in _published(recipe):
        line(f"published  {number} % (not measured here)")
    line(f"run        dvc exp run -S '+recipes={name}'")
    line(f"or         weaktr recipes --use {name} && dvc repro")
    if params_file is None:
        line(f"           {ELSEWHERE}")
    line(f"\n{effect}")
    for text in lines:
        line(f"  {text}")


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


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
