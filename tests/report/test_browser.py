"""The report in a real browser, as people have it: no error, no overflow, no barrier."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.sample import full_report
from weaktr.report.page import page

pytestmark = pytest.mark.slow
SIZES = [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")]
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        missing = "no chromium or google-chrome on the path"
        assert "GITHUB_ACTIONS" not in os.environ, f"{missing}, where CI is to open the report"
        pytest.skip(missing)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu"]
        opened = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    classes = tuple(f"a class with a long name {i}" for i in range(20))
    path.write_text(page(full_report(classes=classes)), encoding="utf-8")
    return path


def opened(browser: Any, report: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    said: list[str] = []
    tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("requestfailed", lambda request: said.append(f"failed: {request.url[:80]}"))
    tab.goto(report.as_uri())
    for details in tab.query_selector_all("summary"):
        details.click()
    return tab, said


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_opens_without_errors_broken_images_or_overflow(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    tab, said = opened(browser, report, width, scheme)
    tab.evaluate("document.querySelectorAll('img').forEach(one => one.loading = 'eager')")
    tab.wait_for_function("[...document.images].every(one => one.complete)")
    broken = tab.evaluate("[...document.images].filter(one => !one.naturalWidth).length")
    assert tab.evaluate("document.images.length") == 36
    assert (said, broken) == ([], 0)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    tab.close()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_axe_finds_nothing_serious(browser: Any, report: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab, _ = opened(browser, report, width, scheme)
    violations = axe.Axe().run(tab).response["violations"]
    serious = [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    tab.close()
