"""Writes docs/params.md: every key of the params, from weaktr/config/ and dvc.yaml.

python -m scripts.params_doc
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from weaktr.config.keys import Key, all_keys, section_meanings
from weaktr.files import write_text

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "params.md"
HEAD = """# Params

Every key that `params.yaml` may hold. `weaktr params WORD` prints those with a word in their name,
with their values; `weaktr recipes` lists ready-made sets. A key that is left out has its default;
a clone's `params.yaml` has the demo's values. What does not exist, or may not be, is refused with
one sentence. A rate may be written `1e-4`. (This page is made by `python -m scripts.params_doc`
from `weaktr/config/` and `dvc.yaml`.)
"""


def page() -> str:
    """The text of docs/params.md."""
    meanings = section_meanings()
    pipeline = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    groups: dict[str, list[Key]] = {key.section: [] for key in all_keys()}
    for key in all_keys():
        groups.setdefault(key.path.rpartition(".")[0] or key.path, []).append(key)
    sections = list(dict.fromkeys(key.section for key in all_keys()))
    parts = [HEAD.rstrip()]
    for section in sections:
        for group, keys in groups.items():
            if group.partition(".")[0] == section:
                parts += ["", *_heading(group, meanings, pipeline), "", *_TABLE, *map(_row, keys)]
    return "\n".join(parts) + "\n"


_TABLE = ("| key | allowed | default | meaning |", "|---|---|---|---|")


def _heading(group: str, meanings: Mapping[str, str], pipeline: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'#' * (2 + group.count('.'))} `{group}`"
    yield ""
    if group in meanings:
        yield meanings[group]
    if "." not in group:
        stages = rerun_by(group, pipeline)
        names = ", ".join(f"`{name}`" for name in stages)
        yield f"A change reruns {names}." if stages else "A change reruns nothing."


def _row(key: Key) -> str:
    value = yaml_value(key.default)
    cells = (f"`{key.path}`", key.allowed, f"`{value}`" if value else "", key.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def yaml_value(value: Any) -> str:
    """A value as YAML has it on one line: `null`, `true`, `[1.0, 1.2]`."""
    return value if isinstance(value, str) else json.dumps(value)


def rerun_by(section: str, pipeline: Mapping[str, Any]) -> list[str]:
    """The stages that a change of a section reruns, in the order of `dvc.yaml`.

    Those that name it as a param, and those that read what these write.
    """
    stale = [name for name, stage in pipeline.items() if section in stage.get("params", ())]
    outputs = {name: _names(stage, "outs", "metrics", "plots") for name, stage in pipeline.items()}
    for name, stage in pipeline.items():
        deps = {"data/pseudo-labels" if "labels_from" in d else d for d in _names(stage, "deps")}
        if name not in stale and any(deps & outputs[before] for before in stale):
            stale.append(name)
    return [name for name in pipeline if name in stale]


def _names(stage: Mapping[str, Any], *lists: str) -> set[str]:
    entries = [entry for name in lists for entry in stage.get(name, ())]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


if __name__ == "__main__":
    write_text(PAGE, page())
