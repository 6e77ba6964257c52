"""Queued experiments that two workers run at once, by real `dvc`."""

import time
from pathlib import Path

import pytest

from tests.dvc_repository import Repository
from tests.mlflow_store import client
from tests.tiny import CHAIN

pytestmark = pytest.mark.slow

LONGEST = 400
"""Seconds that the queue may take."""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with the project's code and tiny params."""
    return Repository(tmp_path / "repository")


def test_two_workers_of_a_queue_lose_no_result(repository: Repository) -> None:
    repository.repro()
    repository.commit()
    variants = {
        "wide": "labels.background_score=0.3",
        "fast": "decoder.lr=0.02",
        "plain": "evaluation.stride=48",
    }
    for name, change in variants.items():
        repository.call("dvc", "exp", "run", "--queue", "--name", name, "-S", change)
    repository.call("dvc", "queue", "start", "--jobs", "2")
    wait_for_the_queue(repository, len(variants))
    shown = repository.call("dvc", "exp", "list", "--name-only").split()
    assert set(variants) <= set(shown)

    store = client(repository.folder)
    ids = {one.name: one.experiment_id for one in store.search_experiments()}
    results = store.search_runs([ids["weaktr"]])
    named = {run.info.run_name.split(":")[0]: run for run in results if run.info.run_name}
    assert set(variants) <= set(named)
    assert len(results) == len(variants) + 1, "the three, and the one before them"
    for name in variants:
        run = named[name]
        assert run.info.status == "FINISHED"
        assert "miou/val" in run.data.metrics
        stages = {run.data.tags[f"run.{stage}"] for stage in CHAIN if stage != "report"}
        assert all(store.get_run(one).info.status == "FINISHED" for one in stages)
        (report,) = store.list_artifacts(run.info.run_id, "report")
        assert report.path == "report/report.html"
    assert repository.call("git", "status", "--short") == ""
    assert repository.stages_run() == []


def wait_for_the_queue(repository: Repository, tasks: int) -> None:
    """Waits until every task of the queue is done; fails if one failed."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        status = repository.call("dvc", "queue", "status")
        assert "Failed" not in status, status + repository.call("dvc", "queue", "logs", "wide")
        if status.count("Success") == tasks:
            repository.call("dvc", "queue", "stop")
            return
        time.sleep(2)
    repository.call("dvc", "queue", "stop", "--kill")
    pytest.fail(f"the queue is not done after {LONGEST} seconds: {status}")
