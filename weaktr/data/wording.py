"""Words that sentences about data share."""

from collections.abc import Sequence


def some(names: Sequence[str], what: str = "image") -> str:
    """How many, and the first of them.

    >>> some(["a"]), some(["a", "b", "c", "d"])
    ('1 image (a)', '4 images (a, b, c, ...)')
    """
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {what}{'s' * (len(names) > 1)} ({shown})"
