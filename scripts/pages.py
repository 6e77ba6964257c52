"""Measured tables in the pages of `docs/`."""

from pathlib import Path

from weaktr.files import write_text


def put_table(page: Path, name: str, text: str) -> None:
    """Writes a table in place of what stands between `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        ValueError: If the page has no such marks.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, has_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        raise ValueError(f"{page} must hold {begin.strip()} and {end.strip()}.")
    write_text(page, before + begin + text + end + after)
