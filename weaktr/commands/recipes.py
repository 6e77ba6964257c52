"""`weaktr recipes`: list, show and use recipes."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from weaktr.errors import UserError
from weaktr.recipes import Recipe, changes, list_recipes, use_recipes

HUB = "timm/"
WEIGHTS_URL = "https://huggingface.co/{}/resolve/main/model.safetensors"
NOTE = (
    "Numbers are mIoU in percent as published (WeakTr, arXiv 2304.01184), not measured here.\n"
    "weaktr recipes NAME shows one; dvc exp run -S '+recipes=NAME' runs it, and "
    "'+recipes=[NAME,NAME]' two."
)


def run(name: str | None, use: Sequence[str], params_file: Path) -> None:
    """Writes recipes into the params file, or shows one, or lists all.

    Raises:
        UserError: If one does not exist, or both are asked for.
    """
    console = Console()
    if name is not None and use:
        raise UserError(f"give a recipe to show or --use, not both. Got: {name!r} and {use[0]!r}.")
    if use:
        run_use(use, params_file, console)
    elif name is not None:
        run_show(name, params_file, console)
    else:
        run_list(params_file, console)


def run_list(params_file: Path, console: Console) -> None:
    """Prints the recipes beside the params: whole ones, then what goes on top of them."""
    whole = Table("recipe", "data", "pretrained weights", "published", title="Recipes")
    partial = Table("recipe", "what", "pretrained weights", title="On top of a recipe")
    for table in (whole, partial):
        table.title_justify = "left"
        for column in table.columns:
            column.overflow = "fold"
        table.columns[0].no_wrap = True
    for recipe in list_recipes(params_file.absolute().parent):
        about = recipe.about
        weights = "\n".join(about.weights)
        if about.data:
            whole.add_row(recipe.name, about.data, weights, "\n".join(_published(recipe)))
        else:
            partial.add_row(recipe.name, about.title, weights)
    console.print(whole)
    console.print(partial)
    console.print(NOTE, markup=False, highlight=False, soft_wrap=True)


def run_show(name: str, params_file: Path, console: Console) -> None:
    """Prints one recipe: what it needs and reaches, how to run it, what it changes.

    Raises:
        UserError: If there is no such recipe or it does not fit the params.
    """
    differences = changes([name], params_file)
    recipe = next(r for r in list_recipes(params_file.absolute().parent) if r.name == name)

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
        line(f"published  {number} mIoU (not measured here)")
    line(f"run        dvc exp run -S '+recipes={name}'")
    line(f"or         weaktr recipes --use {name} && dvc repro")
    line(f"\nIt changes {len(differences)} values of {params_file}:")
    for key, (now, then) in differences.items():
        line(f"  {key}: {_yaml(now)} -> {_yaml(then)}")


def run_use(names: Sequence[str], params_file: Path, console: Console) -> None:
    """Lays recipes over the params file.

    Raises:
        UserError: If one does not exist or the result does not validate; nothing is written then.
    """
    differences = changes(names, params_file)
    use_recipes(names, params_file)
    text = f"{params_file}: {len(differences)} values changed by {', '.join(names)}."
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _published(recipe: Recipe) -> list[str]:
    return [f"{what} {miou:.1f}" for what, miou in recipe.about.published.items()]


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
