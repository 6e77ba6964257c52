"""`weaktr params`: what the keys of params.yaml mean."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaktr.errors import UserError

if TYPE_CHECKING:
    from weaktr.config.keys import Key

PARAMS_FILE = Path("params.yaml")


def key_paths(incomplete: str) -> list[str]:
    """What the shell proposes."""
    from weaktr.config.keys import all_keys

    return [key.path for key in all_keys() if key.path.startswith(incomplete)]


def params(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORD]",
            help="Part of a key, such as lr, crf or cam.augment.",
            show_default="all keys",
            autocompletion=key_paths,
        ),
    ] = None,
) -> None:
    """Explain the keys of params.yaml.

    Each with its value here (and its default, where that is another), what it may be and what it
    means. Outside of a project: with its default. docs/params.md also says what a change reruns.

    \b
    weaktr params lr
    weaktr params labels.crf
    """
    from rich.console import Console

    from weaktr.config.keys import all_keys, did_you_mean
    from weaktr.config.load import load_params
    from weaktr.config.params import Params

    keys = [key for key in all_keys() if word is None or word.lower() in key.path]
    if not keys:
        raise UserError(f"no param has {word!r} in its name.{did_you_mean(str(word).lower())}")
    here = load_params(PARAMS_FILE) if PARAMS_FILE.is_file() else Params()
    values = here.model_dump(mode="json")
    console = Console(highlight=False)
    for key in keys:
        _print(key, _value_at(values, key.path), console.print)


def _print(key: "Key", value: Any, show: Any) -> None:
    from rich.text import Text

    now, default = _yaml(value), _yaml(key.default)
    other = "" if now == default else f"   (default: {default})"
    line = Text.assemble((key.path, "bold"), f": {now}", (other, "dim"))
    show(line, soft_wrap=True)
    for text in (key.meaning, f"Allowed: {key.allowed}."):
        show(Text("  " + text.replace("`", "")), soft_wrap=True)


def _value_at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values


def _yaml(value: Any) -> str:
    """On one line, as it stands in YAML."""
    return value if isinstance(value, str) else json.dumps(value)
