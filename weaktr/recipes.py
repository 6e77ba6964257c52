"""Recipes: named sets of params, composed by Hydra into `params.yaml`.

`params.yaml` is itself the primary Hydra config and `recipes/` a group of it (`.dvc/config` says so
to DVC). With no recipe selected it composes to itself, so that `dvc exp run` never overwrites what
a user wrote there; `dvc exp run -S '+recipes=NAME'` and `weaktr recipes --use NAME` lay a recipe
over it and write the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from weaktr.config import Section, parse_params
from weaktr.data.tags import did_you_mean
from weaktr.errors import UserError
from weaktr.files import write_text

FOLDER = "recipes"
PACKAGE = "# @package _global_"


class About(Section):
    """What the head of a recipe's file says of it."""

    title: str
    data: str | None = None
    """Where its data set must lie."""
    weights: tuple[str, ...] = ()
    """Hub names of the pretrained weights that it starts from."""
    published: dict[str, float] = Field(default_factory=dict)
    """mIoU in percent that the paper reports, by what was measured; nothing measured here."""


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
    return [Recipe(path.stem, path, _about(path)) for path in sorted(folder.glob("*.yaml"))]


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
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = Path(params_file).absolute()
    known = [recipe.name for recipe in list_recipes(path.parent)]
    for name in names:
        if name not in known:
            raise UserError(
                f"there is no recipe {name!r}{did_you_mean(name, known)}; "
                f"{FOLDER} has {', '.join(known)}."
            )
    if not path.is_file():
        raise UserError(f"{params_file} does not exist; run from the project's folder.")
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


def changes(names: Sequence[str], params_file: str | Path = "params.yaml") -> dict[str, tuple]:
    """What recipes would change in the params.

    Returns:
        Dotted key -> value now and value then (`None` where there is no such key now).
    """
    now = flatten(yaml.safe_load(compose_params([], params_file)))
    then = flatten(yaml.safe_load(compose_params(names, params_file)))
    return {key: (now.get(key), value) for key, value in then.items() if now.get(key) != value}


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings under dotted keys; lists are values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
