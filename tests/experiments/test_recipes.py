"""Recipes: what they hold, and that each runs through the real stages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tests.stand_ins import HEIGHT, TRAIN, WIDTH, write_coco14, write_voc12
from tests.tiny import run_stages
from tests.tiny_data import write_folder
from weaktr.cli.app import app
from weaktr.config.load import load_params, parse_params
from weaktr.config.params import Params
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.errors import UserError
from weaktr.experiments.recipes import changes, compose_params, flatten, list_recipes, use_recipes
from weaktr.files import read_json

ENCODERS = {
    "deit-s": "deit_small_patch16_224.fb_in1k",
    "dinov2-s": "vit_small_patch14_dinov2.lvd142m",
    "vit-s": "vit_small_patch16_384.augreg_in21k_ft_in1k",
    "eva02-s": "eva02_small_patch14_224.mim_in22k",
}
MIOU = {
    "voc12": {"deit-s": 74.0, "dinov2-s": 75.8, "vit-s": 78.4, "eva02-s": 78.5},
    "coco14": {"deit-s": 46.9, "dinov2-s": 48.9, "vit-s": 50.3, "eva02-s": 51.1},
}
PUBLISHED = [f"{data}-{encoder}" for data in MIOU for encoder in ENCODERS]
OVERLAYS = [
    "ablation-cross-entropy",
    "ablation-mean-fusion",
    "cam-dinov2-b-448",
    "cam-dinov3-s-448",
    "select-with-masks",
    "supervised",
    "two-rounds",
]
UNTOUCHED = ("runtime.", "dataset.shapes.")
"""What a published setting leaves alone: how to run, and the demo's generator."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes and params that hold nothing but a part of `runtime`."""
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    (tmp_path / "params.yaml").write_text("# mine\nruntime: {device: cpu, workers: 3}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def composed(*names: str) -> dict[str, Any]:
    return yaml.safe_load(compose_params(names))


def flat_defaults() -> dict[str, Any]:
    return flatten(Params().model_dump(mode="json"))


def test_the_list_is_complete(project: Path) -> None:
    names = {recipe.name for recipe in list_recipes()}
    assert names == {*PUBLISHED, *OVERLAYS, "demo", "own-images"}


@pytest.mark.parametrize("name", [*PUBLISHED, "demo", "own-images"])
def test_a_whole_recipe_sets_every_param(project: Path, name: str) -> None:
    values = flatten(composed(name))
    expected = {key for key in flat_defaults() if not key.startswith(UNTOUCHED)}
    assert expected <= values.keys()
    assert values["runtime.workers"] == 3
    parse_params(composed(name))


def test_demo_recipe_is_the_params_of_a_fresh_clone() -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    demo = yaml.safe_load((REPOSITORY / "recipes/demo.yaml").read_text())
    runtime = params.pop("runtime")
    assert flatten(params) == flatten(demo)
    assert {f"runtime.{key}" for key in runtime} | flatten(params).keys() == flat_defaults().keys()


def test_plain_exp_run_leaves_the_values_of_a_fresh_clone_as_they_are() -> None:
    path = REPOSITORY / "params.yaml"
    after = yaml.safe_load(compose_params([], path))
    assert parse_params(after) == load_params(path)
    assert flatten(after).keys() == flatten(yaml.safe_load(path.read_text())).keys()


@pytest.mark.parametrize("data", MIOU)
def test_published_recipes_differ_in_the_segmenters_encoder_only(project: Path, data: str) -> None:
    base = flatten(composed(f"{data}-deit-s"))
    numbers = {recipe.name: recipe.about.published for recipe in list_recipes()}
    for encoder, backbone in ENCODERS.items():
        values = flatten(composed(f"{data}-{encoder}"))
        assert values["decoder.backbone.name"] == backbone
        assert {key for key in values if values[key] != base[key]} <= {"decoder.backbone.name"}
        assert values["decoder.backbone.patch_size"] == 16
        assert MIOU[data][encoder] in numbers[f"{data}-{encoder}"].values()


def test_published_settings(project: Path) -> None:
    voc = parse_params(composed("voc12-deit-s"))
    assert (voc.seed, voc.cam.batch_size, voc.cam.epochs, voc.cam.lr) == (504, 64, 60, 6e-4)
    assert (voc.cam.weight_decay, voc.cam.min_lr, voc.cam.warmup_lr) == (0.03, 1e-5, 1e-6)
    assert voc.cam.schedule == "cosine_published"
    assert voc.cam.select == "last"
    assert (voc.labels.scales, voc.labels.background_score) == ((1.0, 1.2), 0.43)
    assert (voc.labels.crf.gaussian_sxy, voc.evaluation.crf.gaussian_sxy) == (4, 3)
    assert (voc.decoder.start_value, voc.decoder.region) == (1.2, 120)
    assert (voc.decoder.void_in_mean, voc.decoder.region_means) == ("zero", "batch")
    assert (voc.decoder.schedule, voc.decoder.rounds) == ("poly_published", 1)
    assert (voc.decoder.lr, voc.decoder.encoder_lr_scale, voc.decoder.min_lr) == (1e-4, 0.1, 1e-5)
    assert voc.evaluation.scales == (0.5, 0.75, 1, 1.25, 1.5, 1.75)
    coco = parse_params(composed("coco14-deit-s"))
    assert (coco.cam.lr, coco.labels.background_score) == (2e-4, 0.42)
    assert coco.labels.scales == (1.0, 0.8, 1.2)
    assert coco.labels.crf.model_dump(include={"gaussian_sxy", "bilateral_sxy"}) == {
        "gaussian_sxy": 3,
        "bilateral_sxy": 50,
    }
    crf = coco.evaluation.crf
    assert (crf.gaussian_sxy, crf.bilateral_sxy, crf.bilateral_srgb) == (1, 67, 3)
    assert (coco.cam.spare_classes, coco.decoder.spare_classes) == (10, 10)


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_changes_what_its_file_names_and_nothing_else(project: Path, name: str) -> None:
    overlay = flatten(yaml.safe_load((project / f"recipes/{name}.yaml").read_text()))
    before, after = flatten(composed("voc12-vit-s")), flatten(composed("voc12-vit-s", name))
    assert after == before | overlay
    assert after != before
    parse_params(composed("voc12-vit-s", name))


# --- the stages, for real ------------------------------------------------------------------------

SMALL_VIT = {"weights": "none", "embed_dim": 48, "depth": 2, "num_heads": 3}
SMALL = {
    "cam": {
        "backbone": SMALL_VIT,
        "input_size": 64,
        "reduction": 2,
        "epochs": 1,
        "warmup_epochs": 0,
        "batch_size": 2,
        "accumulate": 1,
    },
    "labels": {"crf": {"iterations": 1}},
    "decoder": {
        "backbone": SMALL_VIT,
        "crop_size": 64,
        "region": 16,
        "layers": 1,
        "augment": {"short_side": 64},
        "epochs": 1,
        "batch_size": 2,
    },
    "evaluation": {
        "window": 64,
        "stride": 48,
        "short_side": 64,
        "scales": [1.0, 1.5],
        "crf": {"iterations": 1},
    },
    "runtime": {"device": "cpu", "threads": 1, "workers": 0},
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second one's values first."""
    both = base | changes
    for key in base.keys() & changes.keys():
        if isinstance(base[key], dict):
            both[key] = merged(base[key], changes[key])
    return both


def dry_run(*names: str, **overrides: Any) -> dict[str, Any]:
    """Runs the recipe's chain at small sizes on a stand-in; returns the params."""
    params = merged(merged(composed(*names), SMALL), overrides)
    write = {"voc": write_voc12, "coco": write_coco14, "folder": write_pets}
    write[params["dataset"]["kind"]](Path(params["dataset"]["root"]))
    run_stages(params)
    return params


def write_pets(root: Path) -> None:
    """A folder as in the README: images and a table of tags, no masks and no split."""
    names = [f"{number}.jpg" for number in range(10)]
    write_folder(root, {name: ("dog", '"cat;person"')[i % 2] for i, name in enumerate(names)})


@pytest.mark.parametrize("name", PUBLISHED)
def test_dry_run_of_a_published_recipe(project: Path, name: str) -> None:
    dry_run(name)
    classes = 20 if name.startswith("voc12") else 80
    manifest = Manifest.load("data/prepared")
    assert len(manifest.classes) == classes
    assert len(manifest.of_split("train")) == TRAIN
    for record in manifest.of_split("train"):
        label = read_mask(f"data/pseudo-labels/{record.id}.png")
        assert label.shape == (HEIGHT, WIDTH)
        tags = {0, *(manifest.classes.index(tag) + 1 for tag in record.tags)}
        assert set(label.flat) <= tags
    assert {path.stem for path in Path("data/predictions").glob("*.png")} == {
        record.id for record in manifest.of_split("val")
    }
    result = read_json("reports/evaluate/metrics.json")
    assert result["images"] == TRAIN // 2
    assert 0 <= result["mean_iou"] <= 100
    assert read_json("reports/train_cam/metrics.json")["selected_with_masks"] is False
    config = read_json("models/segmenter/config.json")
    assert ENCODERS[name.split("-", 1)[1]] in json.dumps(config)


@pytest.mark.parametrize("name", OVERLAYS)
def test_dry_run_of_an_overlay(project: Path, name: str) -> None:
    dry_run("voc12-vit-s", name)
    with_masks = read_json("reports/export_labels/metrics.json")[
        "background_score_chosen_with_masks"
    ]
    assert with_masks is (name == "select-with-masks")
    assert read_json("reports/train_decoder/metrics.json")["rounds"] == 1 + (name == "two-rounds")
    assert 0 <= read_json("reports/evaluate/metrics.json")["mean_iou"] <= 100


def test_own_images_need_a_root_and_nothing_else(project: Path) -> None:
    dry_run("own-images", dataset={"root": "my pets"})
    manifest = Manifest.load("data/prepared")
    assert manifest.classes == ("cat", "dog", "person")
    assert len(list(Path("data/pseudo-labels").glob("*.png"))) == len(manifest.of_split("train"))
    assert len(list(Path("data/predictions").glob("*.png"))) == len(manifest.of_split("val")) > 0


def test_cam_backbone_and_input_size_are_params_like_others(project: Path) -> None:
    backbone = {"name": "vit_small_patch14_reg4_dinov2.lvd142m", "patch_size": 16}
    dry_run("voc12-deit-s", cam={"backbone": backbone, "input_size": 128})
    config = json.dumps(read_json("models/cam/config.json"))
    assert "vit_small_patch14_reg4_dinov2" in config


# --- the command, and DVC ------------------------------------------------------------------------


def test_use_keeps_runtime_and_writes_what_was_composed(project: Path) -> None:
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


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("no-such", "no recipe 'no-such'"),
        ("typo", "cam.lrr: no such key. Did you mean lr?"),
        ("not-yaml", "must be `# title: ...`"),
        ("headless", "must begin with the line `# @package _global_`"),
        ("clash", "params.yaml with clash"),
    ],
)
def test_nothing_is_written_if_a_recipe_is_broken(project: Path, broken: str, message: str) -> None:
    head = "# @package _global_\n# title: broken\n"
    files = {
        "typo": head + "cam: {lrr: 1}\n",
        "not-yaml": "# @package _global_\n# title: [\nseed: 1\n",
        "headless": "seed: 1\n",
        "clash": head + "defaults: [nothing-there]\n",
    }
    if broken in files:
        Path(f"recipes/{broken}.yaml").write_text(files[broken])
    before = Path("params.yaml").read_bytes()
    with pytest.raises(UserError) as error:
        use_recipes([broken])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert Path("params.yaml").read_bytes() == before


def test_listing_and_showing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listing = CliRunner().invoke(app, ["recipes"]).output
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(project.parent)
        params = str(project / "params.yaml")
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
    assert "VOC12 val 78.5" in shown
    assert "labels.background_score: null -> 0.43" in shown
    assert changes([], "params.yaml") == {}


def test_a_recipe_in_another_encoding_is_refused(project: Path) -> None:
    (project / "recipes" / "own.yaml").write_text("# @package _global_\n# title: ä\n", "latin-1")
    with pytest.raises(UserError, match=r"own.yaml is not UTF-8 text; save it as UTF-8"):
        list_recipes(project)


def test_listing_loads_nothing_heavy(project: Path) -> None:
    code = (
        "import sys, weaktr.cli.recipes, weaktr.experiments.recipes as r; r.compose_params(['demo']); "
        "sys.exit(int(any(m in sys.modules for m in ('torch', 'mlflow', 'dvc'))))"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_dvc_composes_the_same_params_and_keeps_a_users_own(project: Path) -> None:
    stage = {"cmd": "cp params.yaml seen.yaml", "params": ["cam", "labels"], "outs": ["seen.yaml"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"see": stage}}))
    use_recipes(["demo"])
    text = Path("params.yaml").read_text().replace("seed: 0", "seed: 77")
    Path("params.yaml").write_text(text)
    (project / ".dvc").mkdir()
    shutil.copy(REPOSITORY / ".dvc/config", ".dvc/config")

    def shell(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, text=True)

    dvc = (sys.executable, "-m", "dvc", "exp", "run")
    shell("git", "init", "--quiet")
    shell("git", "add", "--all")
    shell("git", "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "start")
    shell(*dvc)
    assert Path("params.yaml").read_text() == text == Path("seen.yaml").read_text()
    expected = compose_params(["coco14-dinov2-s", "ablation-cross-entropy"])
    names = "+recipes=[coco14-dinov2-s,ablation-cross-entropy]"
    shell(*dvc, "-S", names, "-S", "cam.lr=1e-4", "-S", "dataset.classes=[cat,dog]")
    assert Path("params.yaml").read_text() == Path("seen.yaml").read_text()
    params, base = yaml.safe_load(Path("params.yaml").read_text()), yaml.safe_load(expected)
    base["cam"]["lr"], base["dataset"]["classes"] = 1e-4, ["cat", "dog"]
    assert params == base
    assert parse_params(params).decoder.start_value is None
