"""Words for the terminal; no output has them."""


def counted(number: int, noun: str) -> str:
    """`1 epoch`, `1,000 images`."""
    return f"{number:,} {noun}" + "s" * (number != 1)
