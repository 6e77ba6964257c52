"""Shared fixtures."""

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

LEFT_OUT = pytest.StashKey[Counter[str]]()
"""Number of deselected tests in each folder of `tests/`."""
REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """A suite started in the background ignores Ctrl-C, and so would all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-errors",
        action="store_true",
        help="print the largest relative error of every golden case",
    )


def pytest_deselected(items: list[pytest.Item]) -> None:
    config = items[0].config
    folders = Counter(item.nodeid.partition("::")[0].split("/")[1] for item in items)
    config.stash[LEFT_OUT] = config.stash.get(LEFT_OUT, Counter()) + folders


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under xdist only its workers know what was deselected."""
    if hasattr(session.config, "workeroutput"):
        left_out = session.config.stash.get(LEFT_OUT, Counter())
        session.config.workeroutput["left out"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Every worker selects from all tests, so that one's word is enough."""
    node.config.stash[LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = terminalreporter.config.stash.get(LEFT_OUT, Counter())
    if left_out and terminalreporter.config.option.markexpr == "not slow":
        folders = ", ".join(f"{name} {count}" for name, count in sorted(left_out.items()))
        terminalreporter.line(
            f"Left out: {left_out.total()} slow tests ({folders}). `make test` runs all."
        )
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

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))


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


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to make."""
    from tests.mlflow_store import client

    folder = tmp_path_factory.mktemp("store")
    client(folder).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with an empty store, which `DVC_ROOT` names."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_EXP_NAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def recipe_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes and params that hold nothing but a part of `runtime`."""
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    (tmp_path / "params.yaml").write_text("# mine\nruntime: {device: cpu, workers: 3}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
