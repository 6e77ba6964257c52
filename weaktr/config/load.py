"""Reads and validates `params.yaml`; what is wrong is said in one sentence."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from weaktr.config.keys import did_you_mean
from weaktr.config.params import Params
from weaktr.config.plain_yaml import read_yaml
from weaktr.errors import UserError


def _key_path(location: tuple[int | str, ...], values: Any) -> str:
    """`cam.lr` from pydantic's location, without the names it gives to members of a union.

    These stand where the value has no more parts.
    """
    path = []
    for part in location:
        if not isinstance(values, dict | list):
            break
        path.append(str(part))
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(part, int):
            values = values[part]
    return ".".join(path)


def _describe(error: ValidationError, values: Any, source: str) -> str:
    """One sentence for the first problem found, with a count of the others."""
    reasons: dict[str, list[str]] = {}
    for problem in error.errors():
        path = _key_path(problem["loc"], values)
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            reason = f"no such key.{did_you_mean(path)}"
        reasons.setdefault(path, []).append(reason[0].lower() + reason[1:])
    first = error.errors()[0]
    path = _key_path(first["loc"], values)
    given = first.get("input")
    value = "" if isinstance(given, dict | BaseModel) else f" Got: {given!r}."
    others = f" ({len(reasons) - 1} more wrong)" if len(reasons) > 1 else ""
    reason = " or ".join(reasons[path]).rstrip(".")
    end = "" if reason.endswith("?") else "."
    return f"{source}: {path or 'params'}: {reason}{end}{value}{others}"


def parse_params(values: Any, source: str = "params.yaml") -> Params:
    """Validates plain values.

    Args:
        values: What a YAML loader made of the file: a mapping of sections.
        source: Name to use in messages.

    Raises:
        UserError: With the key's path, the value, and what is allowed.
    """
    if not isinstance(values, dict):
        raise UserError(f"{source} must be a mapping of sections. Got: {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(_describe(error, values, source)) from None


def load_params(path: str | Path = "params.yaml") -> Params:
    """Reads and validates a params file.

    Raises:
        UserError: If the file is missing, is not YAML, or does not validate.
    """
    try:
        values = read_yaml(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run from the project's folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML: {reason.rstrip('.')}.") from None
    return parse_params({} if values is None else values, str(path))
