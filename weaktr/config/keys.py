"""Every key of the params: what it may be, what it is by default, what it means."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from weaktr.config.params import Params

_BOUNDS = (
    ("minimum", "at least"),
    ("ge", "at least"),
    ("exclusiveMinimum", "above"),
    ("gt", "above"),
    ("maximum", "at most"),
    ("le", "at most"),
    ("exclusiveMaximum", "below"),
    ("lt", "below"),
)
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "null": "`null`",
}


@dataclass(frozen=True)
class Key:
    """A key of the params.

    Attributes:
        path: Dotted, such as `labels.crf.iterations`.
        allowed: Its type and range in words.
        default: Where `params.yaml` does not have it.
        meaning: Its docstring, in one line; empty where there is none.
    """

    path: str
    allowed: str
    default: Any
    meaning: str

    @property
    def section(self) -> str:
        """`labels` of `labels.crf.iterations`."""
        return self.path.partition(".")[0]


@cache
def all_keys() -> tuple[Key, ...]:
    """The keys in the order of `params.yaml`."""
    schema = Params.model_json_schema()
    return tuple(_keys_of(schema, schema["$defs"], Params().model_dump(mode="json"), ""))


def section_meanings() -> dict[str, str]:
    """Section, or section within one (`labels.crf`) -> what it is about, in one line."""
    schema = Params.model_json_schema()

    def below(place: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        for name, value in place["properties"].items():
            if "$ref" in value:
                section = _target(value, schema["$defs"])
                yield prefix + name, _one_line(section["description"])
                yield from below(section, f"{prefix}{name}.")

    return dict(below(schema, ""))


def similar_keys(path: str) -> list[str]:
    """Keys and sections that the writer of `path` may have meant, likeliest first; at most three.

    >>> similar_keys("cam.epoch")
    ['cam.epochs']
    >>> similar_keys("background_score")
    ['labels.background_score']
    >>> similar_keys("backgruond")
    ['labels.background_score']
    """
    paths = [*(key.path for key in all_keys()), *section_meanings()]
    named_so = [known for known in paths if known.endswith(f".{path}")]
    parent, _, name = path.rpartition(".")
    beside = {
        known.rpartition(".")[2]: known for known in paths if known.rpartition(".")[0] == parent
    }
    near = [beside[close] for close in difflib.get_close_matches(name, beside, n=1)]
    if not (named_so or near or parent):
        near = _named_like(name, paths)
    return (named_so or near or difflib.get_close_matches(path, paths, n=1))[:3]


def _named_like(name: str, paths: Sequence[str]) -> list[str]:
    """The paths whose last part, or else a word of it, is like a name."""
    parts = {known: known.rpartition(".")[2] for known in paths}
    for words in (
        {known: [part] for known, part in parts.items()},
        {known: part.split("_") for known, part in parts.items()},
    ):
        every = [word for one in words.values() for word in one]
        if close := difflib.get_close_matches(name, every, n=1, cutoff=0.75):
            return [known for known, one in words.items() if close[0] in one]
    return []


def did_you_mean(path: str) -> str:
    """` Did you mean cam.lr or decoder.lr?` for a key that does not exist, or nothing."""
    similar = similar_keys(path)
    return f" Did you mean {' or '.join(similar)}?" if similar else ""


def _keys_of(
    place: Mapping[str, Any], sections: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str
) -> Iterator[Key]:
    for name, value in place["properties"].items():
        path = f"{prefix}{name}"
        if "$ref" in value:
            yield from _keys_of(_target(value, sections), sections, defaults[name], f"{path}.")
        else:
            meaning = _one_line(value.get("description", ""))
            yield Key(path, _allowed(value), defaults[name], meaning)


def _target(value: Mapping[str, Any], sections: Mapping[str, Any]) -> Mapping[str, Any]:
    section: Mapping[str, Any] = sections[value["$ref"].rpartition("/")[2]]
    return section


def _allowed(schema: Mapping[str, Any]) -> str:
    """A JSON schema of one value in words.

    >>> _allowed({"type": "integer", "minimum": 1})
    'whole number, at least 1'
    >>> _allowed({"anyOf": [{"type": "number", "gt": 0}, {"const": "sweep", "type": "string"}]})
    'number, above 0; or `sweep`'
    """
    if "anyOf" in schema:
        return "; or ".join(_allowed(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        several = "list, not empty, of: " if schema.get("minItems") else "list of: "
        return several + _allowed(schema["items"])
    bounds = [f"{words} {schema[key]}" for key, words in _BOUNDS if key in schema]
    return ", ".join((_KINDS[schema["type"]], *bounds))


def _one_line(text: str) -> str:
    return " ".join(text.split())
