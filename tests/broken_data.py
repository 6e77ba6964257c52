"""What the tests of broken data sets share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from weaktr.data.checks.check import Report
from weaktr.errors import UserError

Break = Callable[[Path], object]
"""Breaks the data set in a folder."""


def in_turn(*breaks: Break) -> Break:
    """What breaks several things, one after the other."""

    def apply(root: Path) -> None:
        for break_it in breaks:
            break_it(root)

    return apply


def table(root: Path, text: str) -> None:
    """Writes the table of tags."""
    (root / "tags.csv").write_text(text, encoding="utf-8")


def assert_found(report: Report, sentence: str) -> None:
    """The sentence is among the errors, each of which is one line, and training would stop."""
    messages = [problem.message for problem in report.errors]
    assert any(message.startswith(sentence) for message in messages), messages
    assert all("\n" not in message for message in messages)
    with pytest.raises(UserError):
        report.raise_for_errors()
