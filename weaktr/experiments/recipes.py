"""Recipes: named sets of params, composed by Hydra into `params.yaml`.

`params.yaml` is itself the primary Hydra config and `recipes/` a group of it (`.dvc/config` says so
to DVC). With no recipe selected it composes to itself, so that `dvc exp run` never overwrites what
a user wrote there; `dvc exp run -S '+recipes=NAME'` and `weaktr recipes --use NAME` lay a recipe
over it and write the same bytes. The wheel has the same files, to be read where no project is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from weaktr.config.load import parse_params
from weaktr.config.params import Params
from weaktr.config.values import Section
from weaktr.data.readers.tags import did_you_mean
from weaktr.errors import UserError
from weaktr.files import write_text

FOLDER = "recipes"
PACKAGE = "# @package _global_"
ITSELF = "_self_"
"""Hydra's word for the place of a recipe's own values among its `defaults`."""


class About(Section):
    """What the head of a recipe's file says of it."""

    title: str
    data: str | None = None
    """Where its data set must lie."""
    weights: tuple[str, ...] = ()
    """Hub names of the pretrained weights that it starts from."""
    published: dict[str, float] = Field(default_factory=dict)
    """mIoU in percent that the paper and its code's page report, under the names of `metrics.json`
    (`miou_seed`, `miou_train`, `miou_val`); nothing measured here."""


@dataclass(frozen=True)
class Recipe:
    """A recipe: a file that overrides params."""

    name: str
    path: Path
    about: About


def list_recipes(root: str | Path = ".") -> list[Recipe]:
    """The recipes of a project, by name.

    Args:
        root: The project's folder.

    Raises:
        UserError: If there is no folder of recipes, or the head of one cannot be understood.
    """
    folder = Path(root) / FOLDER
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; run from the project's folder.")
    return _in_folder(folder)


def packaged_recipes() -> list[Recipe]:
    """The recipes that come with the package, by name."""
    package = Path(__file__).resolve().parents[1]
    installed = package / FOLDER
    return _in_folder(installed if installed.is_dir() else package.parent / FOLDER)


def _name(path: Path) -> str:
    return path.stem


def _in_folder(folder: Path) -> list[Recipe]:
    return [
        Recipe(path.stem, path, _about(path)) for path in sorted(folder.glob("*.yaml"), key=_name)
    ]


def recipe_named(name: str, recipes: Sequence[Recipe]) -> Recipe:
    """One of some recipes.

    Raises:
        UserError: If none of them has that name.
    """
    by_name = {recipe.name: recipe for recipe in recipes}
    if name not in by_name:
        raise UserError(
            f"there is no recipe {name!r}{did_you_mean(name, list(by_name))}; "
            f"{FOLDER} has {', '.join(by_name)}."
        )
    return by_name[name]


def recipe_values(name: str, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """What a recipe sets, with what it starts from (its `defaults`), without params to lay it over.

    Args:
        name: The recipe.
        recipes: All recipes beside it.

    Returns:
        Dotted key -> value.

    Raises:
        UserError: If there is no such recipe.
    """
    content = yaml.safe_load(recipe_named(name, recipes).path.read_text(encoding="utf-8"))
    order = content.pop("defaults", [ITSELF])
    values: dict[str, Any] = {}
    for entry in order:
        values |= flatten(content) if entry == ITSELF else recipe_values(entry, recipes)
    return values


def _about(path: Path) -> About:
    """The first paragraph of comments after the package line, as YAML."""
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    if first != PACKAGE:
        raise UserError(f"{path} must begin with the line `{PACKAGE}`. Got: {first!r}.")
    paragraph: list[str] = []
    for line in lines:
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or (paragraph and not text):
            break
        if text:
            paragraph.append(text)
    try:
        return About.model_validate(yaml.safe_load("\n".join(paragraph)))
    except (yaml.YAMLError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: its first comment must be `# title: ...`, and `# data:`, `# weights:`, "
            f"`# published:` where they apply ({reason})."
        ) from None


def compose_params(names: Sequence[str], params_file: str | Path = "params.yaml") -> str:
    """Lays recipes over the params, as `dvc exp run -S '+recipes=[...]'` does.

    Args:
        names: Recipes, in this order; a later one wins.
        params_file: The params; recipes lie in `recipes` beside it.

    Returns:
        The whole params file: YAML without comments, as DVC writes it.

    Raises:
        UserError: If there is no such recipe, or the result does not validate.
    """
    path = Path(params_file).absolute()
    recipes = list_recipes(path.parent)
    for name in names:
        recipe_named(name, recipes)
    if not path.is_file():
        raise UserError(f"{params_file} does not exist; run from the project's folder.")
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    overrides = [f"+{FOLDER}=[{','.join(names)}]"] if names else []
    try:
        with initialize_config_dir(str(path.parent), version_base=None):
            config = compose(path.stem, overrides)
        text = OmegaConf.to_yaml(config, resolve=True)
        values: Any = OmegaConf.to_container(config)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        what = f"{params_file} with {', '.join(names)}" if names else str(params_file)
        raise UserError(f"{what} cannot be composed: {reason}.") from None
    parse_params(values, str(params_file))
    return text


def use_recipes(names: Sequence[str], params_file: str | Path = "params.yaml") -> None:
    """Writes what `compose_params` returns to the params file, whole or not at all."""
    write_text(params_file, compose_params(names, params_file))


def changes(
    names: Sequence[str], params_file: str | Path = "params.yaml"
) -> dict[str, tuple[Any, Any]]:
    """What recipes would change in the params.

    Returns:
        Dotted key -> value now and value then (`None` where there is no such key now).
    """
    now = flatten(yaml.safe_load(compose_params([], params_file)))
    then = flatten(yaml.safe_load(compose_params(names, params_file)))
    return {key: (now.get(key), value) for key, value in then.items() if now.get(key) != value}


def typed_params(values: Mapping[str, Any]) -> Params:
    """Dotted values as params; keys that are not given have their defaults.

    Raises:
        UserError: If they do not validate.
    """
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return parse_params(nested, "recipe")


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings under dotted keys; lists are values.

    >>> flatten({"seed": 0, "labels": {"scales": [1.0, 1.2], "crf": {"iterations": 10}}})
    {'seed': 0, 'labels.scales': [1.0, 1.2], 'labels.crf.iterations': 10}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
