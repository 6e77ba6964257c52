"""Names that stand for no class: background, void, nothing."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from weaktr.errors import UserError

Meaning = Literal["background", "void", "nothing"]

_WORDS: dict[str, Meaning] = {
    **dict.fromkeys(("background", "back ground", "bg"), "background"),
    **dict.fromkeys(
        ("void", "ignore", "ignored", "unlabeled", "unlabelled", "dontcare", "dont care"), "void"
    ),
    **dict.fromkeys(("none", "nan", "nat", "null", "na", "n a", "nothing"), "nothing"),
    **dict.fromkeys(("no tag", "no tags", "no label", "no labels", "no class"), "nothing"),
}

_INSTEAD = {
    "background": "remove it, id 0 is always background",
    "void": "remove it, id 255 is always void",
    "nothing": "leave the tags empty where there are none",
}
_NUMBERED = re.compile(r"\d+[\s:=.)\t-]+\S")
_NO_WORD = re.compile(r"[!-/:-@\[-`{-~\s]+|#[A-Z0/]+[!?]")
"""ASCII punctuation alone, as people mark an empty cell, and what Excel writes for an error."""
_ARTICLES = frozenset(("a", "an", "the"))


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC): what looks alike is alike."""
    return unicodedata.normalize("NFC", name)


def meaning_of(name: str) -> Meaning | None:
    """What a name means that is no class's: `None` for all others.

    >>> meaning_of("_background_"), meaning_of("__ignore__"), meaning_of("NaN"), meaning_of("cat")
    ('background', 'void', 'nothing', None)
    >>> meaning_of("-"), meaning_of("#NAME?")
    ('nothing', 'nothing')
    """
    if _NO_WORD.fullmatch(name):
        return "nothing"
    words = re.sub(r"[\W_]+", " ", name.replace("'", "").casefold()).strip()
    return _WORDS.get(words)


def same_but_for_writing(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that differ in capitals, spaces, hyphens and articles only.

    >>> same_but_for_writing(["Cat", "traffic light", "dog", "the cat", "traffic_light"])
    [('Cat', 'the cat'), ('traffic light', 'traffic_light')]
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        groups.setdefault(_words(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def within_another(name: str, others: Iterable[str]) -> str | None:
    """The longest other name that has the words of this one, and more around them, or the reverse.

    >>> within_another("black cat", ["dog", "Cat"])
    'Cat'
    """
    own = f" {' '.join(_words(name))} "
    found = []
    for other in others:
        words = f" {' '.join(_words(other))} "
        if words != own and (own in words or words in own):
            found.append(other)
    return max(found, key=len, default=None)


def _words(name: str) -> tuple[str, ...]:
    words = re.split(r"[\W_]+", name.casefold())
    return tuple(word for word in words if word and word not in _ARTICLES) or (name,)


def refuse_no_classes(names: Iterable[str], where: str) -> tuple[str, ...]:
    """The names, of which all are classes'.

    Raises:
        UserError: If one means background, void or nothing.
    """
    classes = tuple(names)
    for name in classes:
        if (meaning := meaning_of(name)) is not None:
            raise UserError(f"{where} names `{name}` as a class; {_INSTEAD[meaning]}.")
    return classes


def without_background(names: Iterable[str], where: str) -> tuple[tuple[str, ...], str | None]:
    """A list in the order of mask ids without background and void, where no id shifts by that.

    Background in front has id 0, as in the lists that labelme writes (`__ignore__` may come before
    it, which has no id at all). At the end of a list, either may go too: no class comes after it.

    Args:
        names: As they are listed.
        where: What lists them, for the note.

    Returns:
        The names that are left, and a sentence that says what was left out, or `None`.

    Raises:
        UserError: If such a name stands where the ids of other names would be a guess without it,
            or names come with numbers.
    """
    left = list(names)
    if len(left) > 1 and all(_NUMBERED.match(name) for name in left):
        raise UserError(
            f"{where} has a number before each name; write the names alone, in the order of their "
            f"ids from 1. Got: {left[0]!r}."
        )
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
    left = left[:end]
    for name in left:
        if meaning_of(name) in ("background", "void"):
            raise UserError(
                f"{where} lists {name!r}, which is no class (id 0 is background, 255 void), before "
                "classes, whose ids would shift without it; if its id in the masks is 0, write "
                "`background` in the first line instead, else renumber the masks and take it out."
            )
    if not taken:
        return tuple(left), None
    first = f", so that id 1 is {left[0]!r}" if left else ""
    return tuple(left), (
        f"{where} lists {', '.join(map(repr, taken))}, taken for what is no class (0 is background "
        f"and 255 void){first}."
    )
