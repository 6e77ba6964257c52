"""JSON without a trap: a key that is there twice in one object is refused."""

import json
from pathlib import Path
from typing import Any

from weaktr.errors import UserError


def parse_json(text: str | bytes, where: str | Path, instead: str) -> Any:
    """What JSON says. Python alone keeps the last of two values of one key.

    Args:
        text: All of it; bytes in any of Unicode's encodings, with or without a byte order mark.
        where: What to call it in messages: a file, or a line of one.
        instead: What to do about a damaged one: `fetch it again`.

    Raises:
        UserError: If it is no JSON, or an object has a key twice.
    """

    def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise _twice(pairs, where)
        return found

    try:
        return json.loads(text, object_pairs_hook=each_key_once)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where} is not valid JSON ({reason}); {instead}.") from None


def _twice(pairs: list[tuple[str, Any]], where: str | Path) -> UserError:
    keys = [key for key, _ in pairs]
    key = next(key for key in keys if keys.count(key) > 1)
    values = ", ".join(f"{value!r:.40}" for other, value in pairs if other == key)
    number = dict(pairs).get("id")
    whose = f" with the id {number!r}" if key != "id" and isinstance(number, int | str) else ""
    return UserError(
        f"{where} has an object{whose} with the key {key!r} more than once, so that one of the "
        f"values would not count; keep one. Got: {values}."
    )
