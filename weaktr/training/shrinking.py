"""How much smaller a photograph may be decoded than it is, for what is made of it."""

MARGIN = 2
"""A decoded side has at least so many times the pixels of what it is resized to."""


def shrink_to(kept: float, wanted: float) -> int:
    """The divisor of sides for `weaktr.data.images.read_image`.

    Args:
        kept: Shortest side, in pixels of the file, of what is cut out.
        wanted: What it is resized to.

    >>> shrink_to(500, 224), shrink_to(1000, 224), shrink_to(4000, 224)
    (1, 2, 8)
    """
    return next((by for by in (8, 4, 2) if kept >= by * MARGIN * wanted), 1)
