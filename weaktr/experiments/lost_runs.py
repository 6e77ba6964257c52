"""Runs whose process was killed before it could end them: the next run of the project does it."""

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from weaktr.experiments.store import project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as RunEntity

FOLDER, PROCESS = "weaktr.folder", "weaktr.process"
"""Tags of a run: the project, and the process that writes the run."""
SAME = 10.0
"""Seconds by which a process's beginning may move, as it is told from a clock that is set."""


def process_tags() -> dict[str, str]:
    """What tells the present process from any other, on any machine."""
    own = psutil.Process()
    return {
        FOLDER: f"{socket.gethostname()}:{project_root()}",
        PROCESS: f"{own.pid} {own.create_time():.2f}",
    }


def close_lost_runs(client: "MlflowClient", experiment: str) -> None:
    """Ends runs of this project, on this machine, that say they are running and cannot be.

    Args:
        client: Of the store.
        experiment: Id of the experiment.
    """
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # it is only tidying up
        query = "attributes.status = 'RUNNING'"
        for run in client.search_runs([experiment], query, max_results=100):
            is_ours = run.data.tags.get(FOLDER) == process_tags()[FOLDER]
            if is_ours and not is_alive(run.data.tags.get(PROCESS, "")):
                client.set_terminated(run.info.run_id, "KILLED", end_time=_last_seen(client, run))


def is_alive(process: str) -> bool:
    """Whether the process of a tag still runs."""
    number, _, begun = process.partition(" ")
    try:
        found = psutil.Process(int(number))
        is_same = abs(found.create_time() - float(begun)) < SAME
        return is_same and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def _last_seen(client: "MlflowClient", run: "RunEntity") -> int:
    """When the run last wrote something, in milliseconds of Unix time."""
    times = [int(run.info.start_time)]
    for name in list(run.data.metrics)[:1]:
        times += [point.timestamp for point in client.get_metric_history(run.info.run_id, name)]
    return max(times)
