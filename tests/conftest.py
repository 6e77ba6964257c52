"""Shared fixtures."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-errors",
        action="store_true",
        help="print the largest relative error of every golden case",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.getoption("--golden-errors"):
        from tests.golden_cases import ERRORS

        terminalreporter.section("golden case: largest relative error (share of its tolerance)")
        for case, name, error, tolerance in largest_errors(ERRORS):
            share = error / tolerance
            terminalreporter.line(f"{case:28} {error:.1e}  ({share:4.0%})  {name}")


def largest_errors(errors: dict[tuple[str, str], float]) -> list[tuple[str, str, float, float]]:
    """For every case the tensor that is nearest to its tolerance, or over it."""
    from tests.golden_cases import load_case

    worst: dict[str, tuple[str, str, float, float]] = {}
    for (case, name), error in sorted(errors.items()):
        tolerance = load_case(case).tolerances.get(name)
        if tolerance is None:
            continue
        row = (case, name, error, tolerance)
        if case not in worst or error / tolerance > worst[case][2] / worst[case][3]:
            worst[case] = row
    return list(worst.values())


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """One thread a test process: the suite runs several of them side by side."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def voc_animals() -> Path:
    """Folder with real PASCAL VOC images, where a developer has one (never in the project)."""
    candidates = [
        os.environ.get("WEAKTR_VOC_ANIMALS"),
        REPOSITORY.parent / "shared" / "voc-animals",
    ]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no voc-animals folder: set WEAKTR_VOC_ANIMALS to run this on real photographs")
