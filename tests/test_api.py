"""`weaktr.load` and what it gives, its guide in docs/, and the notebook."""

import ast
import csv
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import weaktr
from tests.conftest import REPOSITORY
from tests.console import CLASSES, save_cam_network, save_segmenter
from tests.console import weaktr as console
from tests.tiny_data import write_image
from weaktr.config.dataset import ShapesParams
from weaktr.data.any_image import rgb_pixels
from weaktr.data.demo.dataset import draw_shapes_scene
from weaktr.data.images import read_image
from weaktr.experiments.model_uri import register_model
from weaktr.experiments.tracking import start_run
from weaktr.models.cam_kinds import CAM_KINDS
from weaktr.predict import run
from weaktr.pseudo_labels.multi_scale_cam import scaled_input

SCENE = draw_shapes_scene(ShapesParams(image_side=48), "val", 0).image


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `segmenter` and `cam`, tiny and untrained."""
    folder = tmp_path_factory.mktemp("models")
    save_segmenter(folder / "segmenter")
    save_cam_network(folder / "cam")
    return folder


@pytest.fixture(scope="module")
def segmenter(models: Path) -> weaktr.SegmenterModel:
    model = weaktr.load(models / "segmenter", device="cpu")
    assert isinstance(model, weaktr.SegmenterModel)
    return model


@pytest.fixture(scope="module")
def cam(models: Path) -> weaktr.CAMModel:
    model = weaktr.load(models / "cam", device="cpu")
    assert isinstance(model, weaktr.CAMModel)
    return model


@pytest.fixture(autouse=True)
def project(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as `make repro` leaves it, around a folder `examples` to run in."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SCENE).save("photo.jpg", quality=95)
    Image.fromarray(SCENE).save("photo.png")
    return tmp_path


# The face.


def test_importing_weaktr_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import weaktr\n"
        "seconds = time.perf_counter() - start; dir(weaktr); weaktr.UserError\n"
        "heavy = {'torch', 'timm', 'mlflow', 'dvc', 'pandas', 'numpy', 'PIL', 'matplotlib'}\n"
        "print(seconds, sorted(heavy & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        taken, loaded = result.stdout.split(maxsplit=1)
        assert loaded == "[]\n"
        seconds.append(float(taken))
    assert min(seconds) < 0.1


def test_loading_a_folder_needs_neither_mlflow_nor_plots() -> None:
    code = (
        "import sys, weaktr; weaktr.load('models/segmenter').segment('photo.jpg')\n"
        "print(sorted({'mlflow', 'dvc', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_the_face_has_what_it_promises() -> None:
    assert set(weaktr.__all__) <= set(dir(weaktr))
    for name in weaktr.__all__:
        assert getattr(weaktr, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'weaktr' has no attribute 'laod'"):
        weaktr.laod  # type: ignore[attr-defined]  # noqa: B018
    from weaktr import labels  # a module is no name of the face, and yet to be had

    assert labels.VOID == 255


def test_the_version_is_a_literal_as_setuptools_wants_it() -> None:
    tree = ast.parse((REPOSITORY / "weaktr/__init__.py").read_text())
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(values["__version__"]) == weaktr.__version__


# Loading.


def test_a_model_says_what_it_is(
    segmenter: weaktr.SegmenterModel, cam: weaktr.CAMModel, models: Path
) -> None:
    assert segmenter.classes == cam.classes == CLASSES
    assert repr(segmenter) == (
        f"SegmenterModel('{models}/segmenter', deit_tiny_patch16_224 on cpu, "
        "3 classes: cat, dog, cow)"
    )
    assert repr(cam).startswith(f"CAMModel('{models}/cam', ")
    assert segmenter.params.crop_size == 32
    assert not segmenter.network.training


@pytest.mark.parametrize(
    ("name", "device", "sentence"),
    [
        ("nowhere", "auto", "nowhere is not a folder;"),
        (".", "auto", r"\. is not a saved model: it has no config.json;"),
        ("models/segmenter", "gpu", "device: 'gpu' is not available on this machine;"),
        ("models:/animals/9", "auto", "models:/animals/9: there is no MLflow store"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(name: str, device: str, sentence: str) -> None:
    with pytest.raises(weaktr.UserError, match=sentence) as error:
        weaktr.load(name, device)
    assert "\n" not in str(error.value)


def test_each_kind_refuses_what_the_other_does(
    segmenter: weaktr.SegmenterModel, cam: weaktr.CAMModel
) -> None:
    sentence = "cam is a CAM network, which gives class maps and no masks; load a segmenter"
    for refused in (cam.segment, cam.segment_all):
        with pytest.raises(weaktr.UserError, match=sentence):
            refused("photo.jpg", crf=True)
    with pytest.raises(
        weaktr.UserError, match="segmenter is a segmenter, which gives masks and no"
    ):
        segmenter.maps("photo.jpg", tags="cat")


# Segmenting.

OPTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "none": ((), {}),
    "all but crf": (
        ("--scales", "0.5,1", "--no-flip", "--short-side", "40", "--tags", "cat,cow"),
        {"scales": (0.5, 1), "flip": False, "short_side": 40, "tags": ("cow", "cat")},
    ),
    "crf": (("--crf",), {"crf": True}),
    "crf and tags": (("--crf", "--tags", "dog"), {"crf": True, "tags": "dog"}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_results_are_those_of_weaktr_predict(name: str, segmenter: weaktr.SegmenterModel) -> None:
    arguments, options = OPTIONS[name]
    write_image(Path("photo.jpg"), width=50, height=38)
    assert console("predict", "models/segmenter", "photo.jpg", "--overlay", *arguments) == 0
    found = segmenter.segment("photo.jpg", **options)
    found.save("mine/masks/photo.png")
    ours, theirs = Path("mine/masks/photo.png"), Path("predictions/masks/photo.png")
    assert ours.read_bytes() == theirs.read_bytes()
    found.overlay().save("overlay.jpg", quality=92)
    assert Path("overlay.jpg").read_bytes() == Path("predictions/overlays/photo.jpg").read_bytes()
    with Path("predictions/predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert f"{found.confidence.mean(dtype=np.float64):.4f}" == row["confidence"]
    assert {n: f"{share:.4f}" for n, share in found.shares.items()} == {
        n: row[f"share_{n}"] for n in found.classes if float(row[f"share_{n}"])
    }


def test_a_result_says_what_its_labels_mean(segmenter: weaktr.SegmenterModel) -> None:
    found = segmenter.segment("photo.jpg")
    assert found.labels.shape == found.confidence.shape == SCENE.shape[:2]
    assert found.labels.dtype == np.uint8
    assert found.confidence.dtype == np.float32
    assert found.classes == ("background", *CLASSES)
    np.testing.assert_array_equal(found.image, np.asarray(read_image("photo.jpg")))
    present = [found.classes[label] for label in np.unique(found.labels)]
    assert list(found.shares) == present
    assert sum(found.shares.values()) == pytest.approx(1)
    assert repr(found).startswith("Segmentation(48 x 48 pixels: ")
    for name, share in found.shares.items():
        assert f"{name} {share:.1%}" in repr(found)


def test_a_notebook_shows_overlay_and_key() -> None:
    labels = np.array([[0, 2]], np.uint8)
    confidence = np.ones((1, 2), np.float32)
    found = weaktr.Segmentation(labels, confidence, ("background", "a", "<b>"), SCENE[:1, :2])
    shown = found._repr_html_()
    assert shown.startswith('<img src="data:image/png;base64,iVBORw0')
    assert '<span style="color:#008000">&#9632;</span>&nbsp;&lt;b&gt; 50.0%' in shown


def test_tags_keep_other_classes_out(segmenter: weaktr.SegmenterModel) -> None:
    assert set(np.unique(segmenter.segment(SCENE).labels)) == {0, 1, 2, 3}
    for tags in ("dog", ("dog",), ["dog"], iter(["dog"])):
        assert set(np.unique(segmenter.segment(SCENE, tags=tags).labels)) == {0, 2}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tags": ("catt",)}, "'catt' is no class of the model.*did you mean 'cat'"),
        ({"tags": ()}, "names no class"),
        ({"scales": (1, 0)}, "scales: Input should be greater than 0. Got: 0"),
        ({"scales": ()}, "scales: .* at least 1 item"),
        ({"short_side": 0}, "short_side: .* greater than or equal to 1. Got: 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], sentence: str, segmenter: weaktr.SegmenterModel
) -> None:
    with pytest.raises(weaktr.UserError, match=sentence) as error:
        segmenter.segment(SCENE, **options)
    assert "\n" not in str(error.value)
    with pytest.raises(weaktr.UserError, match=sentence):
        next(segmenter.segment_all([SCENE], **options))


def test_a_mask_is_saved_as_png_only(segmenter: weaktr.SegmenterModel) -> None:
    with pytest.raises(weaktr.UserError, match="mask.jpg: masks are PNG files"):
        segmenter.segment(SCENE).save("mask.jpg")
    assert not Path("mask.jpg").exists()


# Images.


def test_path_picture_and_array_give_equal_results(segmenter: weaktr.SegmenterModel) -> None:
    picture = Image.open("photo.jpg")
    results = [
        segmenter.segment(image)
        for image in ("photo.jpg", Path("photo.jpg"), picture, np.asarray(picture))
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(other.labels, results[0].labels)
        np.testing.assert_array_equal(other.confidence, results[0].confidence)


GREY = SCENE[..., 0]
ALPHA = np.where(GREY > 99, 255, 0).astype(np.uint8)[..., None]
ON_WHITE = np.where(ALPHA > 0, SCENE, 255)
IN_GREY = np.repeat(GREY[..., None], 3, axis=2)
BLACK_AND_WHITE = np.repeat((GREY[..., None] > 99) * np.uint8(255), 3, axis=2)

ARRAYS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "uint8": (SCENE, SCENE),
    "mirrored view": (SCENE[:, ::-1], SCENE[:, ::-1].copy()),
    "float32": (SCENE.astype(np.float32) / 255, SCENE),
    "float64": (SCENE / 255, SCENE),
    "float16, zeros and ones": (BLACK_AND_WHITE.astype(np.float16) / 255, BLACK_AND_WHITE),
    "uint16": (SCENE.astype(np.uint16) * 257, SCENE),
    "uint16 of the other byte order": (SCENE.astype(">u2") * np.uint16(257), SCENE),
    "grey": (GREY, IN_GREY),
    "grey with an axis": (GREY[..., None], IN_GREY),
    "grey uint16": (GREY.astype(np.uint16) * 257, IN_GREY),
    "grey float": (GREY / 255, IN_GREY),
    "bool": (GREY > 99, BLACK_AND_WHITE),
    "RGBA": (np.concatenate((SCENE, ALPHA), axis=2), ON_WHITE),
    "RGBA float": (np.concatenate((SCENE, ALPHA), axis=2) / 255, ON_WHITE),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_can_mean_one_thing_only(name: str) -> None:
    given, expected = ARRAYS[name]
    before = given.copy()
    pixels = rgb_pixels(given)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)
    pixels[:] = 0
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (SCENE.transpose(2, 0, 1), r"one image with channels last.* Got: \[3, 48, 48\]"),
        (SCENE[None], r"Got: \[1, 48, 48, 3\]"),
        (SCENE[..., :2], r"Got: \[48, 48, 2\]"),
        (SCENE[:0], r"Got: \[0, 48, 3\]"),
        (np.ones((), np.uint8), r"Got: \[\]"),
        (SCENE.astype(np.int64), "must hold uint8, uint16.*Got: int64"),
        (SCENE.astype(np.float32), "values outside 0 to 1; .*Got: 0 to 2"),
        (np.full((4, 4), np.nan), "values outside 0 to 1"),
        (GREY / 255 - 0.5, "values outside 0 to 1"),
        (SCENE.astype(object), "Got: object"),
        (Image.new("RGB", (0, 4)), "the image has no pixels"),
        (torch.zeros(3, 4, 4), "a path, a PIL image or a NumPy array. Got: Tensor"),
        (None, "Got: NoneType"),
        ("nothing.jpg", "nothing.jpg does not exist"),
    ],
)
def test_what_is_no_image_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(weaktr.UserError, match=sentence) as error:
        rgb_pixels(given)
    assert "\n" not in str(error.value)


RGB = Image.fromarray(SCENE)
PICTURES: dict[str, Callable[[], Image.Image]] = {
    "RGB": lambda: RGB,
    "L": lambda: RGB.convert("L"),
    "LA": lambda: RGB.convert("LA"),
    "1": lambda: RGB.convert("1"),
    "P": lambda: RGB.quantize(16),
    "RGBA": lambda: Image.fromarray(ARRAYS["RGBA"][0]),
    "CMYK": lambda: RGB.convert("CMYK"),
    "I;16": lambda: Image.fromarray(ARRAYS["grey uint16"][0]),
    "F": lambda: Image.fromarray((GREY / 255).astype(np.float32)),
}


@pytest.mark.parametrize("mode", PICTURES)
def test_a_picture_is_read_as_its_file_is(mode: str) -> None:
    picture = PICTURES[mode]()
    assert picture.mode == mode
    picture.save("picture.tif")
    np.testing.assert_array_equal(rgb_pixels(picture), np.asarray(read_image("picture.tif")))
    assert picture.mode == mode


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_picture_from_a_phone_is_turned_upright(suffix: str) -> None:
    picture = Image.fromarray(SCENE[:30])
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(f"phone.{suffix}", exif=exif)
    pixels = rgb_pixels(Image.open(f"phone.{suffix}"))
    assert pixels.shape == (48, 30, 3)
    np.testing.assert_array_equal(pixels, rgb_pixels(f"phone.{suffix}"))


def test_a_picture_that_does_not_decode_is_one_sentence() -> None:
    Path("half.png").write_bytes(Path("photo.png").read_bytes()[:900])
    with pytest.raises(weaktr.UserError, match=r"the image does not decode \(.*\)"):
        rgb_pixels(Image.open("half.png"))


# Many images.


def test_many_images_come_in_order_and_batched(
    segmenter: weaktr.SegmenterModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [SCENE[: 20 + 4 * (i % 3), i:] for i in (0, 0, 1, 2, 0, 4, 2, 1, 0, 0)]
    batches: list[int] = []
    run_batch = segmenter._segment

    def counted(images: Any, *rest: Any) -> list[weaktr.Segmentation]:
        batches.append(len(images))
        return run_batch(images, *rest)

    monkeypatch.setattr(segmenter, "_segment", counted)
    options: dict[str, Any] = {"scales": (1, 1.5), "flip": False}
    results = list(segmenter.segment_all(images, tags=iter(["cat", "cow"]), **options))
    assert sorted(batches) == [1, 2, 2, 5]
    for image, found in zip(images, results, strict=True):
        np.testing.assert_array_equal(found.image, image)
        alone = segmenter.segment(image, tags=("cat", "cow"), **options)
        np.testing.assert_allclose(found.confidence, alone.confidence, atol=1e-5)
        assert (found.labels != alone.labels).mean() < 0.01
        assert 2 not in found.labels


def test_an_endless_stream_gives_its_first_results(segmenter: weaktr.SegmenterModel) -> None:
    asked = itertools.count()
    endless = (SCENE[: 16 + 4 * (next(asked) % 5)] for _ in itertools.repeat(None))
    results = segmenter.segment_all(endless)
    heights = [next(results).labels.shape[0] for _ in range(7)]
    results.close()  # type: ignore[attr-defined]
    assert heights == [16, 20, 24, 28, 32, 16, 20]
    assert next(asked) < run.WINDOW


def test_a_file_that_cannot_be_read_ends_the_stream(segmenter: weaktr.SegmenterModel) -> None:
    assert list(segmenter.segment_all([])) == []
    with pytest.raises(weaktr.UserError, match="nothing.jpg does not exist"):
        list(segmenter.segment_all(["photo.jpg", "nothing.jpg"]))


# Class maps.


def test_class_maps_are_the_networks(cam: weaktr.CAMModel) -> None:
    seen = cam.maps("photo.png")
    with torch.inference_mode():
        expected = cam.network.maps(scaled_input(cam.network, SCENE, 1.0)[None])
    assert seen.classes == CLASSES
    assert list(seen.maps) == ["coarse", "cross", "fused", "fine"]
    for kind in CAM_KINDS:
        np.testing.assert_array_equal(seen.maps[kind.name], kind.of(expected)[0].numpy())
        assert seen.maps[kind.name].shape == (3, 6, 6)
    np.testing.assert_array_equal(seen.probabilities, expected.class_logits[0].sigmoid().numpy())
    layers, heads = seen.head_weights.shape
    assert (layers, heads) == (2, 2)
    flat = expected.head_weights[0].numpy()
    for layer, head in itertools.product(range(layers), range(heads)):
        assert seen.head_weights[layer, head] == flat[head * layers + layer]
    np.testing.assert_array_equal(seen.image, SCENE)
    assert "coarse, cross, fused, fine: 3 x 6 x 6" in repr(seen)


def test_tags_choose_class_maps(cam: weaktr.CAMModel) -> None:
    everything, some = cam.maps(SCENE), cam.maps(RGB, tags=("cow", "cat"))
    assert some.classes == ("cat", "cow")
    for kind, maps in everything.maps.items():
        np.testing.assert_array_equal(some.maps[kind], maps[[0, 2]])
    np.testing.assert_array_equal(some.probabilities, everything.probabilities[[0, 2]])
    np.testing.assert_array_equal(some.head_weights, everything.head_weights)
    with pytest.raises(weaktr.UserError, match="did you mean 'cat'"):
        cam.maps(SCENE, tags=["catt"])


@pytest.mark.parametrize("tags", [None, "dog,cat"])
def test_the_picture_is_that_of_weaktr_cam(tags: str | None, cam: weaktr.CAMModel) -> None:
    arguments = () if tags is None else ("--tags", tags)
    assert console("cam", "models/cam", "photo.png", *arguments) == 0
    seen = cam.maps("photo.png", tags=tags)
    theirs = np.asarray(read_image("photo.cam.png"))
    np.testing.assert_array_equal(np.asarray(seen.picture()), theirs)
    assert (seen._repr_png_() or b"").startswith(b"\x89PNG")


def test_a_notebook_keeps_its_backend_for_plots() -> None:
    code = (
        "import matplotlib.pyplot as plt, weaktr\n"
        "plt.figure(); weaktr.load('models/cam').maps('photo.jpg').picture()\n"
        "print(plt.get_backend(), plt.get_fignums())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MPLBACKEND": "svg"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "svg [1]\n"


# The guide and the notebook.


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
