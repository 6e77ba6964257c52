"""A look into the MLflow store of a test."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Its import takes seconds, in every process that collects tests.
    from mlflow import MlflowClient


def client(store: Path) -> "MlflowClient":
    """A client of the SQLite store in a folder."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
