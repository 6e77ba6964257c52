import pytest

from weaktr.progress import track


def test_progress_is_quiet_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter(range(3)), "counting")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")
