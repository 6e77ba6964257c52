"""What is wrong with settings on a command line (`cam.lr=0.01`, `+recipes=demo`), in one sentence.

Hydra composes them into the params; its own messages are those of Hydra and not of the params.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weaktr.config.keys import all_keys, did_you_mean, section_meanings
from weaktr.config.load import parse_params
from weaktr.errors import UserError
from weaktr.experiments.recipes import FOLDER, flatten, list_recipes, recipe_named

_SPECIAL = re.compile(r"[^\w\s/.+%@?|:\\*$\[\]{},~-]", re.ASCII)
"""What Hydra takes in a value within quotes only."""


def check_composed(values: Any, overrides: Sequence[str], root: str | Path = ".") -> None:
    """Refuses what was composed, before anything is written.

    Args:
        values: All params, as a mapping of sections.
        overrides: What was set on the command line.
        root: The project's folder.

    Raises:
        UserError: If a key does not exist, its value may not be, or corrected masks are named that
            are not there.
    """
    source = " ".join(("params.yaml", *(f"-S {text}" for text in overrides)))
    params = parse_params(values, source)
    sets = Path(root, "data", "corrected")
    name = params.decoder.corrected
    if name != "none" and not (sets / name).is_dir():
        there = ", ".join(sorted(path.name for path in sets.glob("*/") if path.name != "none"))
        hint = f"there are: {there}" if there else "make it, and lay corrected masks in it"
        raise UserError(
            f"{source}: decoder.corrected: data/corrected/{name} is not a folder; {hint}."
        )


def explain(overrides: Sequence[str], params: Mapping[str, Any], root: str | Path = ".") -> None:
    """Says why Hydra refused settings; returns where their names are not why.

    Args:
        overrides: In Hydra's notation.
        params: The values of `params.yaml`.
        root: The project's folder.

    Raises:
        UserError: With the sentence.
    """
    known = {key.path for key in all_keys()} | section_meanings().keys()
    present = flatten(dict(params)).keys()
    for override in overrides:
        name, _, value = override.partition("=")
        key = name.lstrip("+~").strip()
        if key == FOLDER:
            _explain_recipes(name, value, root)
        elif key not in known:
            raise UserError(f"-S {override}: params.yaml has no key {key}.{did_you_mean(key)}")
        elif name == key and not any(f"{one}.".startswith(f"{key}.") for one in present):
            raise UserError(
                f"-S {override}: params.yaml leaves {key} out, so that its default holds; write "
                f"-S +{override}."
            )
        elif name.startswith("+") and not name.startswith("++") and key in present:
            raise UserError(
                f"-S {override}: params.yaml has {key} already; write it without the +."
            )
        elif (special := _SPECIAL.search(value)) and value.strip()[0] not in "'\"":
            raise UserError(
                f"-S {override}: a value with {special[0]} needs quotes of its own inside of the "
                f"shell's; write -S \"{name}='{value}'\"."
            )


def _explain_recipes(name: str, value: str, root: str | Path) -> None:
    recipes = list_recipes(root)
    for recipe in value.strip("[] ").split(","):
        recipe_named(recipe.strip(), recipes)
    if not name.startswith("+"):
        raise UserError(f"a recipe takes a plus: -S '+{FOLDER}={value}'.")
