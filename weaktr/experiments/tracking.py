"""MLflow: a run for every stage that really executed, and a run for every result.

Two experiments keep the table of results readable: `NAME` holds one run per result; `NAME-stages`
holds the stage runs that they link to. The client API is used throughout, as the fluent one lets
`MLFLOW_RUN_ID` in the environment take over.
"""

import getpass
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaktr.errors import UserError
from weaktr.experiments.lost_runs import close_lost_runs, process_tags
from weaktr.experiments.recipes import flatten
from weaktr.experiments.store import (
    ARTIFACTS,
    cannot_be_used,
    experiment_id,
    is_local,
    open_store,
    patience,
    project_root,
    reason_of,
    shown,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as RunEntity

PARAM_LENGTH = 6000
"""Characters that MLflow accepts in the value of a param."""
AGAIN = 300
"""Seconds for which a store that failed is left alone."""
LAST_TRIES = 3
"""Seconds after which the end of a run is not held up by further tries."""
UPLOAD_TIMEOUT = "60"
"""Seconds that a server may take to put a file where it belongs."""


def common_tags() -> dict[str, str]:
    """Where a run came from: user, command, git revision and, under DVC, the experiment's name."""
    stage = os.environ.get("DVC_STAGE")
    tags = {
        "mlflow.source.git.commit": _git_revision(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": f"dvc repro {stage}" if stage else "python -m stages",
    }
    with suppress(KeyError, OSError):  # a user without a name
        tags["mlflow.user"] = getpass.getuser()
    for tag, variable in {
        "dvc.exp_name": "DVC_EXP_NAME",
        "dvc.exp_baseline": "DVC_EXP_BASELINE_REV",
    }.items():
        if os.environ.get(variable):
            tags[tag] = os.environ[variable]
    return tags


def _git_revision() -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return "unknown"
    return result.stdout.strip() or "unknown"


class Run:
    """An MLflow run that is being written.

    A store that fails stops nothing: what it did not take is kept and sent again later and at the
    end, and what it never took is named.
    """

    def __init__(self, client: "MlflowClient", run_id: str, experiment: str) -> None:
        self.client = client
        self.id = run_id
        self.experiment_id = experiment
        self._waiting: list[tuple[str, Callable[[], object]]] = []
        self._failed: float | None = None
        self._reason = ""

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Logs nested params under dotted names."""
        from mlflow.entities import Param

        flat = flatten(dict(values))
        params = [Param(name, str(value)[:PARAM_LENGTH]) for name, value in flat.items()]
        self._send("params", lambda: self.client.log_batch(self.id, params=params))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Logs one step of several metrics in one call; values that are not finite are left out."""
        self.log_curves([(step, values)])

    def log_curves(self, steps: "list[tuple[int, Mapping[str, float]]]") -> None:
        """Logs many steps of several metrics in one call."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [
            Metric(name, value, now, step)
            for step, values in steps
            for name, value in values.items()
            if math.isfinite(value)
        ]
        for first in range(0, len(metrics), 1000):  # as many as MLflow takes at once
            part = metrics[first : first + 1000]
            self._send("metrics", partial(self.client.log_batch, self.id, metrics=part))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags in one call."""
        from mlflow.entities import RunTag

        entries = [RunTag(name, value) for name, value in tags.items()]
        self._send("tags", lambda: self.client.log_batch(self.id, tags=entries))

    def log_artifacts(self, *paths: str | Path) -> None:
        """Logs files, and folders with all they hold, under their own names."""
        for path in map(Path, paths):
            if path.exists():
                self._send(path.as_posix(), partial(self._upload, path))

    def _upload(self, path: Path) -> None:
        try:
            with patience(MLFLOW_HTTP_REQUEST_TIMEOUT=UPLOAD_TIMEOUT):
                if path.is_dir():
                    self.client.log_artifacts(self.id, str(path), path.name)
                else:
                    self.client.log_artifact(self.id, str(path))
        except OSError as error:
            if error.filename is None and error.strerror is not None and is_local():
                error.filename = str(project_root() / ARTIFACTS)  # a full disk names no file
            raise

    def _send(self, what: str, call: Callable[[], object]) -> None:
        """Sends to the store, unless it failed a short while ago: then when it is asked again."""
        self._waiting.append((what, call))
        if self._failed is None or time.monotonic() - self._failed > AGAIN:
            self.send_waiting()

    def send_waiting(self) -> None:
        """Sends what waits, in order; the first failure ends it."""
        while self._waiting:
            try:
                self._waiting[0][1]()
            except Exception as error:  # a store has many ways to fail
                if not self._reason:
                    say(
                        f"Warning: the MLflow store at {shown(tracking_uri())} failed "
                        f"({reason_of(error)}); the stage goes on, and what it should have had is "
                        "sent later."
                    )
                self._failed, self._reason = time.monotonic(), reason_of(error)
                return
            self._waiting.pop(0)
        self._failed = None

    def close(self, status: str) -> None:
        """Sends what waits, ends the run, and names what the store has not got."""
        self._send("its end", lambda: self.client.set_terminated(self.id, status))
        last = time.monotonic() + LAST_TRIES
        for _ in range(len(self._waiting)):
            self.send_waiting()
            if not self._waiting or time.monotonic() > last:
                break
            self._waiting.append(self._waiting.pop(0))  # one that is refused keeps no other back
        if self._waiting:
            missing = ", ".join(dict.fromkeys(what for what, _ in self._waiting))
            say(
                f"Warning: run {self.id} in the MLflow store at {shown(tracking_uri())} is "
                f"incomplete, it lacks: {missing} ({self._reason})."
            )


def say(line: str) -> None:
    """Prints to standard error, where it is in nobody's way."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def start_run(
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    *,
    begun: int | None = None,
    system_metrics: bool = False,
) -> Iterator[Run]:
    """Opens a run; it ends as FINISHED, or as FAILED or KILLED if the block raises.

    Args:
        experiment: Name of the experiment; it is made if need be.
        name: Name of the run.
        tags: Tags beside the common ones.
        begun: When what the run tells of began, in milliseconds of Unix time; `None`: now.
        system_metrics: Whether to record CPU, memory and GPU use while the block runs.

    Raises:
        UserError: If the tracking store cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    client = open_store()
    with patience(MLFLOW_HTTP_REQUEST_MAX_RETRIES="1"):
        try:
            place = experiment_id(client, experiment)
            all_tags = {**common_tags(), **process_tags(), **tags}
            created = client.create_run(place, start_time=begun, run_name=name, tags=all_tags)
        except (MlflowException, OSError) as error:
            raise cannot_be_used(error) from None
        close_lost_runs(client, place)
        run = Run(client, created.info.run_id, place)
        monitor = None
        if system_metrics:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(run.id, tracking_uri=tracking_uri())
            monitor.start()
        status = "FAILED"
        try:
            yield run
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        except MlflowException as error:
            raise UserError(
                f"the MLflow store at {shown(tracking_uri())} failed while the run was written "
                f"({reason_of(error)}); mend it and run again."
            ) from None
        finally:
            if monitor is not None:
                monitor.finish()
            run.close(status)


def find_run(
    client: "MlflowClient", experiment: str, tags: Mapping[str, str]
) -> "RunEntity | None":
    """The latest finished run of an experiment that has all these tags, if there is one.

    Args:
        client: Of the store.
        experiment: Its name.
        tags: Names and values.
    """
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    query = f"attributes.status = 'FINISHED' and {wanted}"
    runs = client.search_runs([found.experiment_id], query, max_results=1)
    return runs[0] if runs else None
