"""Locks that travel: back to an older one, into a clone, as an experiment; all by real `dvc`."""

import json
import shutil
from pathlib import Path

import pytest

from tests.dvc_repository import Repository

CLEAN = "Data and pipelines are up to date."


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with two commits of results, and a remote that has the data of both."""
    folder = tmp_path_factory.mktemp("repository")
    repository = Repository(folder)
    repository.call("dvc", "remote", "add", "--default", "store", str(folder.parent / "remote"))
    repository.repro()
    repository.commit("first")
    repository.change("decoder", "lr", 0.02)
    assert repository.repro() == ["train_decoder", "evaluate", "report"]
    repository.commit("second")
    repository.call("dvc", "push", "--all-commits")
    return repository


@pytest.mark.slow
def test_an_older_lock_reruns_nothing(repository: Repository) -> None:
    newer = repository.json("metrics.json")
    repository.call("git", "checkout", "--quiet", "HEAD~1", "--", "dvc.lock", "params.yaml")
    assert repository.stages_run() == []
    assert repository.json("metrics.json") != newer, "DVC restores the older numbers"
    repository.call("git", "checkout", "--quiet", "HEAD", "--", ".")
    assert repository.stages_run() == []
    assert repository.json("metrics.json") == newer
    assert CLEAN in repository.call("dvc", "status")
    assert repository.call("git", "status", "--short") == ""


@pytest.mark.slow
def test_a_clone_has_the_numbers_without_any_data(repository: Repository, tmp_path: Path) -> None:
    clone = repository.clone(tmp_path / "clone")
    shown = json.loads(clone.call("dvc", "metrics", "show", "--json"))
    assert shown[""]["data"]["metrics.json"]["data"] == repository.json("metrics.json")
    changed = json.loads(clone.call("dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json"))
    assert "miou_val" in changed["metrics.json"]
    clone.call("dvc", "plots", "show")


@pytest.mark.slow
def test_a_clone_that_pulled_reruns_nothing(repository: Repository, tmp_path: Path) -> None:
    clone = repository.clone(tmp_path / "clone")
    clone.call("dvc", "pull")
    assert clone.stages_run() == []
    assert CLEAN in clone.call("dvc", "status")
    clone.call("git", "checkout", "--quiet", "HEAD~1", "--", "dvc.lock", "params.yaml")
    clone.call("dvc", "pull", "--force")
    assert clone.repro() == [], "at most the numbers are gathered again"


@pytest.mark.slow
def test_every_command_is_clean_on_a_finished_tree(repository: Repository) -> None:
    for command in (
        ("status",),
        ("checkout",),
        ("metrics", "show"),
        ("metrics", "diff", "HEAD~1"),
        ("params", "diff", "HEAD~1"),
        ("plots", "show"),
        ("plots", "diff", "HEAD~1"),
        ("exp", "show", "--only-changed", "--no-pager"),
        ("gc", "--workspace", "--all-commits", "--all-experiments", "--force"),
    ):
        output = repository.call("dvc", *command)
        assert "fail" not in output.lower(), f"dvc {' '.join(command)}: {output}"
    assert CLEAN in repository.call("dvc", "status")
    assert repository.call("git", "status", "--short") == ""


@pytest.mark.slow
def test_the_supervised_reference_is_an_experiment(repository: Repository) -> None:
    """It stands beside the result, and the workspace stays as it is."""
    command = ("dvc", "exp", "run", "--temp", "--name", "reference", "-S", "+recipes=supervised")
    output = repository.call(*command)
    assert "Running stage 'train_cam'" not in output
    assert "Running stage 'train_decoder'" in output
    assert repository.call("git", "status", "--short") == ""
    assert CLEAN in repository.call("dvc", "status")
    check_the_numbers_are_in_sight(repository)
    repository.call("dvc", "exp", "apply", "reference")
    assert repository.stages_run() == []
    assert set(repository.json("metrics.json")) == {"miou_val", "accuracy_val"}
    report = (repository.folder / "reports/report/report.html").read_text()
    assert "trained on the true masks" in report
    repository.call("git", "checkout", "--quiet", ".")
    assert repository.stages_run() == []


def check_the_numbers_are_in_sight(repository: Repository) -> None:
    """At 120 columns, with the reference beside the result."""
    names = repository.json("metrics.json")
    repository.environment["COLUMNS"] = "120"
    for command in (
        ("metrics", "show"),
        ("exp", "show", "--only-changed", "--drop", ".*/", "--no-pager"),
    ):
        table = repository.call("dvc", *command)
        assert max(map(len, table.splitlines())) <= 120
        assert all(name in table for name in names), table
    assert "[reference]" in table
    del repository.environment["COLUMNS"]


@pytest.mark.slow
def test_the_plot_of_the_confusion_has_every_share(repository: Repository) -> None:
    """The template `confusion` of DVC counts rows: every cell would be 1."""
    rows = (repository.folder / "plots/confusion.csv").read_text().splitlines()
    assert rows[0] == "actual,predicted,share"
    shares: dict[str, float] = {}
    for row in rows[1:]:
        actual, _, share = row.split(",")
        shares[actual] = shares.get(actual, 0.0) + float(share)
    assert all(value == pytest.approx(100, abs=0.1) or value == 0 for value in shares.values())
    repository.call("dvc", "plots", "show", "plots/confusion.csv")
    page = (repository.folder / "dvc_plots/index.html").read_text()
    assert '"share"' in page
    shutil.rmtree(repository.folder / "dvc_plots")


@pytest.mark.slow
def test_raw_data_can_be_given_to_dvc(tmp_path: Path) -> None:
    """So that queued experiments, which work in a copy, have it."""
    repository = Repository(tmp_path)
    image = tmp_path / "data/raw/pets/images/rex.jpg"
    image.parent.mkdir(parents=True)
    image.touch()
    repository.call("dvc", "add", "data/raw/pets")
    assert repository.call("git", "ls-files", "data") == "data/raw/pets.dvc\n"
    shutil.rmtree(tmp_path / "data/raw/pets")
    repository.call("dvc", "checkout", code=255)  # as no stage has run yet
    assert image.is_file()
