"""MODEL on the command line: a folder, or a place in the project's MLflow store."""

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from weaktr.errors import UserError
from weaktr.experiments.logged_model import model_of_run
from weaktr.experiments.store import existing_store, reason_of, shown, tracking_uri

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient

    from weaktr.models.network import Network
    from weaktr.models.saving import LoadedModel

N = TypeVar("N", bound="Network")

SCHEMES = ("runs", "models", "mlflow-artifacts")
ALIAS = re.compile(r"(?!v\d+$)[A-Za-z][A-Za-z0-9_-]*")


def load_named_model(
    name: str, network: "type[N]", device: "str | torch.device" = "cpu"
) -> "LoadedModel[N]":
    """Loads a model by folder or MLflow address.

    Args:
        name: A folder, `runs:/<run id>/segmenter` (stage runs keep their model as the artifact
            `segmenter` or `cam`), `models:/<name>/<version>` or `models:/<name>@<alias>`.
            `MLFLOW_TRACKING_URI` names the store; without it, it is `mlflow.db` in the project.
        network: The class that is wanted, `CAMNetwork` or `Segmenter`.
        device: Where the model goes.

    Raises:
        UserError: If there is no such folder, run, artifact or registered model, or it holds no
            such network.
    """
    from weaktr.models.saving import load_model

    with model_folder(name) as folder:
        return load_model(folder, network, device)


@contextmanager
def model_folder(name: str) -> Iterator[Path]:
    """The folder of a model: fetched, where it lies in MLflow, for as long as the block runs.

    Args:
        name: As for `load_named_model`.

    Raises:
        UserError: If there is no such folder, run, artifact or registered model.
    """
    if not _is_uri(name):
        if not Path(name).is_dir():
            raise UserError(
                f"{name} is not a folder; a model is a folder with model.safetensors and "
                "config.json, runs:/<run id>/segmenter, or models:/<name>/<version>."
            )
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="weaktr-") as folder:
        with _one_reason(name):
            from mlflow.artifacts import download_artifacts

            place = _place_of(existing_store(name), name)
            fetched = download_artifacts(
                artifact_uri=place, dst_path=folder, tracking_uri=tracking_uri()
            )
        yield Path(fetched)


def register_model(uri: str, name: str, *, alias: str | None = None) -> int:
    """Gives a model of a run a name in MLflow's model registry.

    `mlflow.register_model` only takes models that one of MLflow's flavours has logged; a version
    whose source is the run's artifact folder can be made of any.

    Args:
        uri: `runs:/<run id>/segmenter`.
        name: Registered model; made if need be.
        alias: Also let `models:/<name>@<alias>` stand for this version.

    Returns:
        The version.

    Raises:
        UserError: If there is no such run or no model in that artifact.
    """
    if not uri.startswith("runs:/"):
        raise UserError(f"only models of runs are registered, runs:/<run id>/segmenter. Got: {uri}")
    from weaktr.models.any_network import load_any_model

    with model_folder(uri) as folder:
        load_any_model(folder)
    if alias is not None and not ALIAS.fullmatch(alias):
        raise UserError(
            f"--alias must be letters, digits, - and _, and not look like a version. Got: {alias!r}"
        )
    with _one_reason(uri):
        from mlflow.exceptions import MlflowException

        client = existing_store(uri)
        try:
            client.get_registered_model(name)
        except MlflowException:
            client.create_registered_model(name)
        run_id, _, model = uri.removeprefix("runs:").strip("/").partition("/")
        source = model_of_run(client, run_id, model) or uri
        version = client.create_model_version(name, source=source, run_id=run_id).version
        if alias is not None:
            client.set_registered_model_alias(name, alias, str(version))
    return int(version)


def _place_of(client: "MlflowClient", uri: str) -> str:
    """Where the files of a model lie. (MLflow itself would look in its global store.)"""
    scheme, _, rest = uri.partition(":")
    place = rest.strip("/")
    if scheme == "runs":
        run_id, _, name = place.partition("/")
        return model_of_run(client, run_id, name) or uri
    if scheme != "models":
        return uri
    if place.startswith("m-"):
        return str(client.get_logged_model(place).artifact_location)
    if "@" in place:
        name, alias = place.split("@", 1)
        version = str(client.get_model_version_by_alias(name, alias).version)
    else:
        name, _, version = place.partition("/")
    return str(client.get_model_version_download_uri(name, version))


def _is_uri(name: str) -> bool:
    return ":/" in name and name.split(":", 1)[0] in SCHEMES


@contextmanager
def _one_reason(uri: str) -> Iterator[None]:
    """Turns what MLflow raises into a sentence, and keeps its remarks off the terminal."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        yield
    except (MlflowException, OSError) as error:
        reason = reason_of(error)[:200]
        raise UserError(
            f"{uri} cannot be had from the MLflow store at {shown(tracking_uri())}; check the id, "
            f"the name and the version. Got: {reason}"
        ) from None
