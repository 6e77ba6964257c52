"""The segmenter as a model of MLflow: stored once, named, and served over HTTP."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import weaktr
from tests.console import CLASSES, save_segmenter
from tests.mlflow_store import client
from weaktr.experiments.logged_model import log_segmenter, png_text
from weaktr.experiments.model_uri import load_named_model, register_model
from weaktr.experiments.tracking import start_run
from weaktr.models.segmenter import Segmenter

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))


def log(folder: Path) -> tuple[str, str]:
    """A run with the segmenter as its model; ids of run and model."""
    with start_run("weaktr", "result", {}) as run:
        model = log_segmenter(
            run.client, run.experiment_id, run.id, folder, params={"a": "b"}, example=IMAGE
        )
    return run.id, model


def test_equal_weights_are_stored_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    folder = save_segmenter(store / "segmenter")
    (first, model), (second, same) = log(folder), log(folder)
    assert model == same
    assert len(list((store / "mlruns").rglob("model.safetensors"))) == 1
    for run in (first, second):
        loaded = load_named_model(f"runs:/{run}/segmenter", Segmenter)
        assert loaded.classes == CLASSES
    assert load_named_model(f"models:/{model}", Segmenter).classes == CLASSES
    assert register_model(f"runs:/{first}/segmenter", "animals", alias="best") == 1
    assert load_named_model("models:/animals@best", Segmenter).classes == CLASSES


@pytest.fixture
def served(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server of `mlflow models serve` on loopback."""
    monkeypatch.chdir(store)
    run, _ = log(save_segmenter(store / "segmenter"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scripts = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"runs:/{run}/segmenter"]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    log_file = (store / "serve.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log_file, stderr=log_file)
    try:
        for _ in range(240):
            assert process.poll() is None, (store / "serve.log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        process.terminate()
        process.wait()


def ask(address: str, rows: list[dict[str, Any]]) -> Any:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.slow
def test_a_server_answers_an_image_with_a_mask(served: str, store: Path) -> None:
    (answer,) = ask(served, [{"image": png_text(IMAGE)}])
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"]))))
    expected = weaktr.load(store / "segmenter").segment(IMAGE)
    np.testing.assert_array_equal(mask, expected.labels)
    assert 0 < answer["confidence"] <= 1
    (answer,) = ask(served, [{"image": png_text(IMAGE), "tags": "cat"}])
    assert answer["classes"] in ("cat", "")
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(served, [{"image": "no image"}])
    assert refused.value.code == 400
    assert "image files in base64" in refused.value.read().decode()


def test_the_description_names_input_and_output(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    _, model = log(save_segmenter(store / "segmenter"))
    place = client(store).get_logged_model(model).artifact_location.removeprefix("file://")
    described = (Path(place) / "MLmodel").read_text()
    assert "loader_module: weaktr.serving" in described
    for name in ("image", "tags", "mask", "classes", "confidence"):
        assert f'"{name}"' in described
