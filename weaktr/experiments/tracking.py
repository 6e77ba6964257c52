"""MLflow: a run for every stage that really executed, and a pipeline run for every result.

Two experiments keep the table of results readable: `NAME` holds pipeline runs, one row a result;
`NAME-stages` holds the stage runs that they link to. The client API is used throughout, as the
fluent one lets `MLFLOW_RUN_ID` in the environment take over.
"""

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from filelock import FileLock

from weaktr.errors import UserError
from weaktr.experiments.recipes import flatten

if TYPE_CHECKING:
    from mlflow import MlflowClient

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
PARAM_LENGTH = 6000
"""Characters that MLflow accepts in the value of a param."""


def project_root() -> Path:
    """The main repository's folder, also inside a queued `dvc exp run`, which works in a copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or an SQLite file in the main repository's folder."""
    file = str(project_root() / "mlflow.db").replace("%", "%25").replace("?", "%3F")
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{file}"


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; `None` for another kind of store."""
    parts = urlparse(uri, allow_fragments=False)
    return Path(unquote(parts.path[1:])) if parts.scheme == "sqlite" else None


def _git_revision() -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return "unknown"
    return result.stdout.strip() or "unknown"


def common_tags() -> dict[str, str]:
    """Where a run came from: the git revision and, under DVC, the experiment's name."""
    tags = {"mlflow.source.git.commit": _git_revision(), "mlflow.source.type": "PROJECT"}
    for tag, variable in {
        "dvc.exp_name": "DVC_EXP_NAME",
        "dvc.exp_baseline": "DVC_EXP_BASELINE_REV",
    }.items():
        if os.environ.get(variable):
            tags[tag] = os.environ[variable]
    return tags


class Run:
    """An MLflow run that is being written."""

    def __init__(self, client: "MlflowClient", run_id: str, experiment_id: str) -> None:
        self.client = client
        self.id = run_id
        self.experiment_id = experiment_id

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Logs nested params under dotted names."""
        from mlflow.entities import Param

        flat = flatten(dict(values))
        self.client.log_batch(
            self.id, params=[Param(name, str(value)[:PARAM_LENGTH]) for name, value in flat.items()]
        )

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Logs one step of several metrics in one call; values that are not finite are left out."""
        import math
        import time

        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        metrics = [Metric(name, value, now, step) for name, value in finite.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags in one call."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.id, tags=[RunTag(name, value) for name, value in tags.items()])

    def log_artifacts(self, *paths: str | Path) -> None:
        """Logs files, and folders with all they hold, under their own names."""
        for path in map(Path, paths):
            if path.is_dir():
                self.client.log_artifacts(self.id, str(path), path.name)
            elif path.is_file():
                self.client.log_artifact(self.id, str(path))


@contextmanager
def start_run(
    experiment: str, name: str, tags: Mapping[str, str], *, system_metrics: bool = False
) -> Iterator[Run]:
    """Opens a run; it ends as FINISHED, or as FAILED or KILLED if the block raises.

    Args:
        experiment: Name of the experiment; it is made if need be.
        name: Name of the run.
        tags: Tags beside the common ones.
        system_metrics: Whether to record CPU, memory and GPU use while the block runs.

    Raises:
        UserError: If the tracking store cannot be reached, or stops answering.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    uri = tracking_uri()
    try:
        with _alone(uri), _few_retries():
            client = MlflowClient(uri)
            experiment_id = _experiment_id(client, experiment)
        created = client.create_run(experiment_id, run_name=name, tags={**common_tags(), **tags})
    except UserError:
        raise
    except Exception as error:  # of MLflow, SQLAlchemy or an HTTP client: a store has many ways
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"the MLflow store at {uri} cannot be used ({reason}); start it, or unset or mend "
            "MLFLOW_TRACKING_URI."
        ) from None
    run = Run(client, created.info.run_id, experiment_id)
    monitor = None
    if system_metrics:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run.id, tracking_uri=uri)
        monitor.start()
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    except MlflowException as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"the MLflow store at {uri} failed while the run was written ({reason}); mend it and "
            "run again: a training goes on from its checkpoint."
        ) from None
    finally:
        with _few_retries(), suppress(MlflowException):
            if monitor is not None:
                monitor.finish()
            client.set_terminated(run.id, status)


def find_run(experiment: str, tags: Mapping[str, str]) -> str | None:
    """The id of the latest finished run of an experiment that has all these tags, if there is one.

    Args:
        experiment: Its name.
        tags: Names and values.
    """
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri())
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    query = f"attributes.status = 'FINISHED' and {wanted}"
    runs = client.search_runs([found.experiment_id], query, max_results=1)
    return runs[0].info.run_id if runs else None


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Lets one process at a time make the tables of an SQLite store and its experiments."""
    file = sqlite_file(uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}-lock"):
        yield


@contextmanager
def _few_retries() -> Iterator[None]:
    """Makes a server that is not there known in seconds; MLflow itself asks for four minutes."""
    if RETRIES in os.environ:
        yield
        return
    os.environ[RETRIES] = "2"
    try:
        yield
    finally:
        del os.environ[RETRIES]


def _experiment_id(client: "MlflowClient", name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise UserError(
            f"the MLflow experiment {name!r} was deleted; run `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`, or give runtime.experiment another name."
        )
    if found is not None:
        return str(found.experiment_id)
    local = "MLFLOW_TRACKING_URI" not in os.environ
    location = (project_root() / "mlruns" / name).as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=location))
