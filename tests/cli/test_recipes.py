import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tests.recipes import composed
from weaktr.cli.app import app
from weaktr.experiments.recipes import changes, compose_params, list_recipes, use_recipes

pytestmark = pytest.mark.slow


def test_use_keeps_runtime_and_writes_what_was_composed(recipe_folder: Path) -> None:
    expected = compose_params(["coco14-vit-s", "ablation-mean-fusion"])
    result = CliRunner().invoke(
        app, ["recipes", "--use", "coco14-vit-s", "--use", "ablation-mean-fusion"]
    )
    assert result.exit_code == 0, result.output
    assert Path("params.yaml").read_text() == expected
    params = yaml.safe_load(expected)
    assert params["runtime"] == {"device": "cpu", "workers": 3}
    assert (params["dataset"]["kind"], params["cam"]["fusion"]) == ("coco", "mean")
    use_recipes(["voc12-deit-s"])
    assert yaml.safe_load(Path("params.yaml").read_text()) == composed("voc12-deit-s")


def test_listing_and_showing(recipe_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listing = CliRunner().invoke(app, ["recipes"]).output
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(recipe_folder.parent)
        params = str(recipe_folder / "params.yaml")
        assert CliRunner().invoke(app, ["recipes", "--params", params]).output == listing
    assert "not measured here" in listing
    for recipe in list_recipes():
        assert recipe.name in listing
        for weights in recipe.about.weights:
            assert weights in listing
        for number in recipe.about.published.values():
            assert str(number) in listing
    shown = CliRunner().invoke(app, ["recipes", "voc12-eva02-s"]).output
    assert "dvc exp run -S '+recipes=voc12-eva02-s'" in shown
    assert "timm/eva02_small_patch14_224.mim_in22k/resolve/main/model.safetensors" in shown
    assert re.search(r"miou_seed +69\.4 .*\n(.*\n)+ +miou_val +78\.5 ", shown)
    assert "Turn: decoder.start_value" in " ".join(shown.split())
    assert re.search(r"segmenter, 100 epochs +float32 +2\.0e\+17 +7\n", shown)
    assert "Estimated, not measured" in shown
    on_top = CliRunner().invoke(app, ["recipes", "two-rounds"]).output
    assert "Cost" not in on_top
    assert "Turn:" not in on_top
    assert "labels.background_score: null -> 0.43" in shown
    assert changes([], "params.yaml") == {}


def test_json_of_one_recipe(recipe_folder: Path) -> None:
    for place in ([], ["--params", str(recipe_folder / "params.yaml")]):
        shown = CliRunner().invoke(app, ["recipes", "coco14-vit-s", "--json", *place])
        told = json.loads(shown.output)
        assert told["published"] == {"miou_seed": 42.6, "miou_train": 51.3, "miou_val": 50.3}
        assert {rung["metric"]: rung["published"] for rung in told["ladder"]}["miou_labels"] is None
        assert told["cost"]["data"]["train"] == 82081
        assert told["values"]["decoder.spare_classes"] == 10
    assert CliRunner().invoke(app, ["recipes", "--json"]).exit_code == 1  # `main` makes it a 2


def test_listing_loads_nothing_heavy(recipe_folder: Path) -> None:
    code = (
        "import sys, weaktr.cli.recipes, weaktr.experiments.recipes as r; "
        "r.compose_params(['demo']); "
        "sys.exit(int(any(m in sys.modules for m in ('torch', 'mlflow', 'dvc'))))"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
