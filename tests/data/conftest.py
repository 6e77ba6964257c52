import pytest


@pytest.fixture(autouse=True)
def _few_images_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data sets of tests have a handful of images; that alone is no problem here."""
    monkeypatch.setattr("weaktr.data.checks.whole.FEW_IMAGES", 0)
