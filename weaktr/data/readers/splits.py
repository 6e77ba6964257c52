"""Names of splits as people write them."""

import re
from collections.abc import Iterable, Mapping

from weaktr.errors import UserError

_SYNONYMS = {
    "train": ("train", "training", "trainval"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation", "holdout"),
    "test": ("test", "testing"),
}
_AROUND = re.compile(r"[\W_]*(?:set|split|data|images?|imgs?|(?:19|20)\d\d)$")
"""What may follow such a word: `train_set`, `val2017`, `Training Images`."""


def split_named(name: str, splits: Mapping[str, str]) -> str | None:
    """The split that a name means: as it is written, else in other capitals or words for it.

    Args:
        name: As found.
        splits: Name that params give -> `train`, `val` or `test`.

    >>> split_named("Validation", {"train": "train", "val": "val"})
    'val'
    >>> split_named("train2017", {"train": "train"}), split_named("train_2", {"train": "train"})
    ('train', None)
    """
    if name in splits:
        return splits[name]
    folded = name.casefold().strip()
    meant = {folded: split for name, split in splits.items() for folded in (name.casefold(),)}
    for split, words in _SYNONYMS.items():
        if split in splits.values():
            meant |= {word: split for word in words if word not in meant}
    return meant.get(folded) or meant.get(_AROUND.sub("", folded))


def split_folders(
    names: Iterable[str], splits: Mapping[str, str], *, where: str
) -> dict[str, str] | None:
    """Folder -> split, if a data set's top folders are those of its splits; else `None`.

    They are if one of the training images is there, beside one of another split or alone. (A folder
    `train` among others is a class: there are data sets of vehicles.)

    Args:
        names: Top folders with images.
        splits: As for `split_named`.
        where: What holds them, for messages.

    Raises:
        UserError: If two folders mean the same split, or all are splits and none is trained on.
    """
    names = list(names)
    found = {name: split for name in names if (split := split_named(name, splits)) is not None}
    kinds = set(found.values())
    if len(found) == len(names) and len(kinds) > 1 and "train" not in kinds:
        raise UserError(
            f"{where} has folders for the splits {' and '.join(sorted(kinds))} only; add one for "
            "training, or name it in dataset.train_split."
        )
    if "train" not in kinds or (len(kinds) == 1 and len(found) < len(names)):
        return None
    by_split: dict[str, str] = {}
    for name, split in found.items():
        if split in by_split:
            raise UserError(
                f"{where} has two folders for the split {split}, {by_split[split]} and {name}; "
                "merge or rename one."
            )
        by_split[split] = name
    return found
