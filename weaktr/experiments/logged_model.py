"""A saved network as a model of MLflow: listed, registered, served.

MLflow's description (`MLmodel`) lies beside the network's own two files, so that what MLflow
fetches is still a folder that `weaktr` loads.
"""

import base64
import io
import json
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weaktr import __version__
from weaktr.files import digest_files

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from PIL import Image

SEGMENTER = "segmenter"
LOADER = "weaktr.serving"
CONTENT = "weaktr.content"
"""Tag of a logged model: the digest of its files."""


def log_segmenter(
    client: "MlflowClient",
    experiment_id: str,
    run_id: str,
    folder: Path,
    *,
    params: Mapping[str, str],
    example: "Image.Image",
) -> str:
    """Makes a segmenter the model of a run; equal weights are stored once per experiment.

    Args:
        client: Of the store.
        experiment_id: The run's experiment: MLflow shows no model of another one.
        run_id: The run.
        folder: With `model.safetensors` and `config.json`.
        params: What to tell of the model, by name.
        example: An image that it may be given.

    Returns:
        The id of the model.
    """
    from mlflow.entities import LoggedModelOutput

    content = digest_files([folder])
    known = client.search_logged_models(
        [experiment_id], f"tags.`{CONTENT}` = '{content}'", max_results=1
    )
    if known and str(known[0].status) == "READY":
        model = known[0]
    else:
        model = client.create_logged_model(
            experiment_id,
            name=SEGMENTER,
            source_run_id=run_id,
            params=dict(params),
            tags={CONTENT: content},
            model_type=SEGMENTER,
        )
        client.log_model_artifacts(model.model_id, str(folder))
        with tempfile.TemporaryDirectory() as described:
            _describe(Path(described), run_id, model.model_id, example)
            client.log_model_artifacts(model.model_id, described)
        client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)


def model_of_run(client: "MlflowClient", run_id: str, name: str) -> str | None:
    """Where the files of a run's model lie; `None` if it has no model of that name."""
    for output in getattr(client.get_run(run_id).outputs, "model_outputs", None) or ():
        model = client.get_logged_model(output.model_id)
        if model.name == name:
            return str(model.artifact_location)
    return None


def png_text(image: "Image.Image") -> str:
    """An image as PNG in base64, as it goes through JSON."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def _describe(folder: Path, run_id: str, model_id: str, example: "Image.Image") -> None:
    """Writes `MLmodel` and what it refers to."""
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    model = Model(run_id=run_id, model_id=model_id, model_uuid=model_id, artifact_path=SEGMENTER)
    model.signature = ModelSignature(
        Schema([ColSpec("string", "image"), ColSpec("string", "tags", required=False)]),
        Schema(
            [
                ColSpec("string", "mask"),
                ColSpec("string", "classes"),
                ColSpec("double", "confidence"),
            ]
        ),
    )
    mlflow.pyfunc.add_to_model(model, loader_module=LOADER, python_env="python_env.yaml")
    (folder / "requirements.txt").write_text(f"weaktr=={__version__}\n")
    (folder / "python_env.yaml").write_text(
        f"python: {platform.python_version()}\nbuild_dependencies: [pip]\n"
        "dependencies: ['-r requirements.txt']\n"
    )
    rows = {"columns": ["image"], "data": [[png_text(example)]]}
    (folder / "input_example.json").write_text(json.dumps(rows))
    (folder / "serving_input_example.json").write_text(json.dumps({"dataframe_split": rows}))
    model.saved_input_example_info = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }
    model.save(str(folder / "MLmodel"))
