"""JSON with one line for each entry: read by every JSON parser, and by people."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO


def one_line(value: Any) -> str:
    """JSON without line breaks, in ASCII: names that are not Unicode survive."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def write_list(stream: TextIO, entries: Iterable[Any]) -> None:
    """Writes a JSON list, one entry a line."""
    between = "[\n"
    for entry in entries:
        stream.write(between + one_line(entry))
        between = ",\n"
    stream.write("[]" if between == "[\n" else "\n]")


def write_json_file(path: Path, lists: dict[str, Iterable[Any]] | Iterable[Any]) -> None:
    """Writes a list, or an object of lists, whose entries have a line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii", newline="\n") as stream:
        if isinstance(lists, dict):
            for index, (name, entries) in enumerate(lists.items()):
                stream.write(f'{"," if index else "{"}\n"{name}": ')
                write_list(stream, entries)
            stream.write("\n}\n")
        else:
            write_list(stream, lists)
            stream.write("\n")
