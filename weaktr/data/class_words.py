"""Names that stand for no class: background, void, nothing."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

Meaning = Literal["background", "void", "nothing"]

_WORDS: dict[str, Meaning] = {
    **dict.fromkeys(("background", "back ground", "bg"), "background"),
    **dict.fromkeys(
        ("void", "ignore", "ignored", "unlabeled", "unlabelled", "dontcare", "dont care"), "void"
    ),
    **dict.fromkeys(("none", "nan", "null", "n a", "nothing"), "nothing"),
}


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC): what looks alike is alike."""
    return unicodedata.normalize("NFC", name)


def meaning_of(name: str) -> Meaning | None:
    """What a name means that is no class's: `None` for all others.

    >>> meaning_of("_background_"), meaning_of("__ignore__"), meaning_of("NaN"), meaning_of("cat")
    ('background', 'void', 'nothing', None)
    """
    words = re.sub(r"[\W_]+", " ", name.replace("'", "").casefold()).strip()
    return _WORDS.get(words)


def without_background(names: Iterable[str], where: str) -> tuple[tuple[str, ...], str | None]:
    """A list in the order of mask ids without background and void, where no id shifts by that.

    Background in front has id 0, as in the lists that labelme writes (`__ignore__` may come before
    it, which has no id at all). At the end of a list, either may go too: no class comes after it.

    Args:
        names: As they are listed.
        where: What lists them, for the note.

    Returns:
        The names that are left; those in the middle of the list are, as their ids would be a guess.
        And a sentence that says what was left out, or `None`.
    """
    left = list(names)
    taken = []
    start = 2 if [meaning_of(name) for name in left[:2]] == ["void", "background"] else 0
    if left and meaning_of(left[0]) == "background":
        start = 1
    taken += left[:start]
    left = left[start:]
    end = len(left)
    while end > 1 and meaning_of(left[end - 1]) in ("background", "void"):
        end -= 1
    taken += left[end:]
    if not taken:
        return tuple(left), None
    first = f", so that id 1 is {left[0]!r}" if end else ""
    return tuple(left[:end]), (
        f"{where} lists {', '.join(map(repr, taken))}, taken for what is no class (0 is background "
        f"and 255 void){first}."
    )
