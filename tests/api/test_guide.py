"""The code of docs/api.md and of the notebook runs."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import weaktr
from tests.conftest import REPOSITORY
from tests.tiny_data import write_image
from weaktr.config.dataset import ShapesParams
from weaktr.data.demo.dataset import draw_shapes_scene
from weaktr.experiments.model_uri import register_model
from weaktr.experiments.tracking import start_run


def register_animals() -> None:
    """Makes `models:/animals/1`."""
    with start_run("weaktr-stages", "train_decoder", {}) as stage_run:
        stage_run.log_artifacts(Path("models/segmenter"))
    register_model(f"runs:/{stage_run.id}/segmenter", "animals")


def test_the_guides_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    register_animals()
    for number in range(3):
        write_image(Path(f"photos/{number}.jpg"), seed=number)
    guide = (REPOSITORY / "docs/api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert len(blocks) == guide.count("```python") == 8
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert capsys.readouterr().out.startswith("models/cam is a CAM network, which gives class maps")
    assert {path.name for path in Path("masks").iterdir()} == {
        "photo.png",
        *(f"{number}.png" for number in range(3)),
    }
    for name in ("labels", "confidence", "classes", "image", "shares", "overlay", "save"):
        assert hasattr(weaktr.Segmentation, name) or name in vars(names["found"])
        assert f"found.{name}" in guide
    assert names["cat"].shape == names["seen"].maps["fine"].shape[1:]


def test_the_notebook_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = ShapesParams(image_side=48)
    for index in range(3):
        path = project / f"data/prepared/files/shapes/JPEGImages/val_{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_shapes_scene(params, "val", index).image).save(path)
    monkeypatch.chdir(project / "examples")
    notebook = json.loads((REPOSITORY / "examples/quickstart.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            shown.append(run_cell("".join(cell["source"]), names))
    assert [type(value).__name__ for value in shown if value is not None] == [
        "SegmenterModel",
        "Segmentation",
        "Segmentation",
        "Image",
        "ClassMaps",
    ]
    printed = capsys.readouterr().out
    assert "val_00002.png {" in printed
    assert printed.count("True\n") == 2


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell as Jupyter does, and gives the value that it would show, shown."""
    *body, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        exec(source, names)
        return None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    for look in ("_repr_html_", "_repr_png_", "__repr__"):
        if value is not None and hasattr(value, look):
            assert getattr(value, look)()
    return value
