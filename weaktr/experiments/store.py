"""Where runs are kept: an MLflow server, or an SQLite file and a folder in the project.

A local store moves with its project: addresses of artifacts that still name the folder in which it
was made are set to the present one before anything is written or shown.
"""

import logging
import os
import re
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
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What MLflow is told unless the user told it otherwise: by itself it waits for a dead server for
four minutes, and prints addresses with the password in them."""
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
SECRET_FIELDS = r"(?i)\b((?:password|passwd|token|secret)=)[^&\s]+"
"""What an address may also hold after its `?`."""
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
    """`MLFLOW_TRACKING_URI`, or an SQLite file in the main repository's folder.

    An SQLite file that is named by a relative path lies there too: a queued `dvc exp run` works in
    a copy of the repository that is removed at its end.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    file = project_root() / "mlflow.db"
    if named:
        database = sqlite_file(named)
        if database is None or database.is_absolute() or named == "sqlite://":
            return named
        file = project_root() / database
    return "sqlite:///" + str(file).replace("%", "%25").replace("?", "%3F")


def shown(uri: str) -> str:
    """The address without the name and password that may be in it, quoted or not."""
    uri = re.sub(r"^([\w+.-]+://)(?!/).*@", r"\1***@", uri)
    return re.sub(SECRET_FIELDS, r"\1***", uri)


def reason_of(error: object) -> str:
    """What went wrong, in one line, without any secret of the store's address."""
    text = str(error)
    uri = tracking_uri()
    text = text.replace(uri, shown(uri))
    passwords = [
        before.rpartition("@")[0].partition(":")[2]
        for before in (urlparse(uri, allow_fragments=False).netloc, uri.partition("://")[2])
    ]
    for secret in (*passwords, *map(unquote, passwords), *map(os.environ.get, SECRETS)):
        if secret:
            text = text.replace(secret, "***")
    text = re.sub(
        r"\[SQL:.*|\(raised as a result of Query-invoked autoflush[^)]*\)", "", text, flags=re.S
    )
    text = re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)
    text = re.sub(SECRET_FIELDS, r"\1***", text)
    return " ".join(text.split())[:300] or type(error).__name__


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

    hush()
    uri = tracking_uri()
    try:
        with alone(), patience():
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
            if is_local():
                follow_the_project(project_root())
    except Exception as error:  # of MLflow, SQLAlchemy or an HTTP client: a store has many ways
        raise cannot_be_used(error) from None
    return client


def cannot_be_used(error: Exception) -> UserError:
    """The sentence for a store that fails before anything was written to it."""
    uri, reason = tracking_uri(), reason_of(error)
    if sqlite_file(uri) is None:
        remedy = "start it, or unset or mend MLFLOW_TRACKING_URI."
    else:
        remedy = "check the file, its rights and the space left, and MLFLOW_TRACKING_URI if set."
    return UserError(f"the MLflow store at {shown(uri)} cannot be used ({reason}); {remedy}")


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
        is_server = urlparse(tracking_uri()).scheme in ("http", "https", "databricks")
        # MLflow itself would take the working folder, which may be an experiment's passing copy.
        location = None if is_server else (project_root() / ARTIFACTS / name).as_uri()
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
def patience(**changes: str) -> Iterator[None]:
    """Has a missing or hanging server reported within seconds; the user's own settings stay.

    Args:
        changes: Other values of `PATIENCE`, such as for large files.
    """
    values = {**PATIENCE, **changes}
    new = {name: value for name, value in values.items() if name not in os.environ or name in _OURS}
    before = {name: os.environ.get(name) for name in new}
    os.environ.update(new)
    _OURS.update(new)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
                _OURS.discard(name)
            else:
                os.environ[name] = value


_OURS: set[str] = set()
"""Variables that `patience` has set."""


def hush() -> None:
    """Keeps off the terminal what MLflow and its HTTP client say of a store that is away.

    It is said by `weaktr`, once; theirs may hold the address with its password.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    for name in ("mlflow.store", "mlflow.system_metrics", "mlflow.utils", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for handler in logging.getLogger("mlflow").handlers:
        if _without_secrets not in handler.filters:
            handler.addFilter(_without_secrets)


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args, record.exc_info = reason_of(record.getMessage()), None, None
    return True
