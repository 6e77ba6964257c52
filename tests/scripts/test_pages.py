"""Measured tables in pages: how a number over seeds is written."""

import pytest

from scripts.pages import mean_and_deviation


@pytest.mark.parametrize(
    ("values", "form", "text"),
    [
        ([60.0, 70.0], "{:.1f}", "65.0 ± 7.1"),
        ([0.25, 0.35], "{:.2f}", "0.30 ± 0.07"),
        ([-1.0, 3.0], "{:+.1f}", "+1.0 ± 2.8"),
        ([5.0], "{:+.1f}", "+5.0"),
    ],
)
def test_a_number_over_seeds_has_its_deviation_in_as_many_digits(
    values: list[float], form: str, text: str
) -> None:
    assert mean_and_deviation(values, form) == text
