"""Where runs are kept: an MLflow server, or an SQLite file and a folder in the project.

A local store moves with its project: addresses of artifacts that still name the folder in which it
was made are set to the present one before anything is written or shown.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from filelock import FileLock

from weaktr.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS = "mlruns"
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's SQLite store that hold addresses of artifacts."""


def project_root() -> Path:
    """The main repository's folder, also inside a queued `dvc exp run`, which works in a copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def is_local() -> bool:
    """Whether the store is the project's own."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or an SQLite file in the main repository's folder."""
    file = str(project_root() / "mlflow.db").replace("%", "%25").replace("?", "%3F")
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{file}"


def shown(uri: str) -> str:
    """The address without the name and password that may be in it."""
    parts = urlparse(uri, allow_fragments=False)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; `None` for another kind of store."""
    parts = urlparse(uri, allow_fragments=False)
    return Path(unquote(parts.path[1:])) if parts.scheme == "sqlite" else None


def open_store() -> "MlflowClient":
    """A client of the store, whose tables are made if need be and whose addresses are true.

    Raises:
        UserError: If the store cannot be reached.
    """
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    uri = tracking_uri()
    try:
        with alone(), few_retries():
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
            if is_local():
                follow_the_project(project_root())
    except Exception as error:  # of MLflow, SQLAlchemy or an HTTP client: a store has many ways
        reason = " ".join(str(error).replace(uri, shown(uri)).split())[:300]
        raise UserError(
            f"the MLflow store at {shown(uri)} cannot be used ({reason}); start it, or unset or "
            "mend MLFLOW_TRACKING_URI."
        ) from None
    return client


def existing_store(wanted: str) -> "MlflowClient":
    """A client of a store that is there already; a local one is not made.

    Args:
        wanted: What is looked for, for the message.

    Raises:
        UserError: If there is no store, or it cannot be reached.
    """
    uri = tracking_uri()
    database = sqlite_file(uri)
    if database is not None and not database.is_file():
        raise UserError(
            f"{wanted}: there is no MLflow store at {shown(uri)}; nothing ran here yet (`dvc "
            "repro`), this is not the project's folder, or MLFLOW_TRACKING_URI is to be set."
        )
    return open_store()


def experiment_id(client: "MlflowClient", name: str) -> str:
    """The id of an experiment, which is made if need be.

    Raises:
        UserError: If it was deleted.
    """
    with alone():
        found = client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "deleted":
            raise UserError(
                f"the MLflow experiment {name!r} was deleted; run `mlflow experiments restore "
                f"--experiment-id {found.experiment_id}`, or give runtime.experiment another name."
            )
        if found is not None:
            return str(found.experiment_id)
        location = (project_root() / ARTIFACTS / name).as_uri() if is_local() else None
        return str(client.create_experiment(name, artifact_location=location))


def follow_the_project(root: Path) -> None:
    """Sets the addresses of artifacts to the folder in which the store lies now.

    Every experiment's artifacts lie in `mlruns/NAME` beside the database; one whose place ends so
    but begins elsewhere was moved or copied. Where the artifacts did not come along, only
    experiments change: new runs are written here, and the addresses of old ones stay true.

    Args:
        root: The project's folder.
    """
    here = root / ARTIFACTS
    with closing(sqlite3.connect(root / "mlflow.db", timeout=30)) as database, database:
        strangers = set()
        for name, place in database.execute("SELECT name, artifact_location FROM experiments"):
            folder = _local_folder(place)
            if folder is not None and folder.parts[-2:] == (ARTIFACTS, name):
                strangers |= {folder.parent} - {here}
        for there in strangers:
            for old, new in (
                (f"{there.as_uri()}/", f"{here.as_uri()}/"),
                (f"{there}/", f"{here}/"),
            ):
                for table, column in ADDRESSES:
                    if table == "experiments" or here.is_dir():
                        database.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                            f"WHERE substr({column}, 1, ?) = ?",
                            (new, len(old) + 1, len(old), old),
                        )


def _local_folder(place: str | None) -> Path | None:
    """The folder of a `file:` address or an absolute path; `None` for another address."""
    if not place or not place.startswith(("file:", "/")):
        return None
    return Path(unquote(urlparse(place).path)) if place.startswith("file:") else Path(place)


@contextmanager
def alone() -> Iterator[None]:
    """Lets one process at a time make the tables of an SQLite store and its experiments."""
    file = sqlite_file(tracking_uri())
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}-lock"):
        yield


@contextmanager
def few_retries() -> Iterator[None]:
    """Has a missing server reported within seconds; MLflow itself retries for four minutes."""
    if RETRIES in os.environ:
        yield
        return
    os.environ[RETRIES] = "2"
    try:
        yield
    finally:
        del os.environ[RETRIES]
