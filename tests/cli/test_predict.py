import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.console import CLASSES, save_cam_network, save_segmenter, weaktr
from tests.golden_cases import load_case
from tests.tiny_data import write_folder, write_image
from weaktr.cli.app import app
from weaktr.data.masks import read_mask
from weaktr.data.readers.class_lists import class_list
from weaktr.files import read_json

COMMANDS = ("check-data", "predict", "cam", "export", "import-checkpoint", "register")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_segmenter(tmp_path_factory.mktemp("models") / "segmenter")


@pytest.fixture(scope="module")
def cam_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cam_network(tmp_path_factory.mktemp("models") / "cam")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("module", ["weaktr.cli.app", "stages.__main__"])
def test_help_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys; from {module} import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'mlflow', 'pandas', 'numpy', 'matplotlib', 'dvc'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.endswith("loaded: []\n"), result.stdout + result.stderr


def test_every_command_has_a_help_text_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    names = [command.callback.__name__.replace("_", "-") for command in app.registered_commands]
    assert set(COMMANDS) <= set(names)
    for name in names:
        assert weaktr(name, "--help") == 0
        text = capsys.readouterr().out
        assert f"\n  weaktr {name}" in text


def test_a_mistake_is_one_sentence_and_exit_code_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert weaktr("predict", "nowhere", "nothing.jpg") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: nothing.jpg does not exist;")
    assert err.count("\n") == 1


def test_predict_writes_masks_overlays_and_tables(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("in/a/x.jpg"), width=40, height=30)
    write_image(Path("in/a/x.png"), width=20, height=50)
    arguments = ("--overlay", "--scales", "0.5,1", "--no-flip", "--tags", "cat,cow")
    assert weaktr("predict", segmenter, "in", "-o", "out", *arguments) == 0
    assert "2 of 2 images segmented" in capsys.readouterr().out
    with Path("out/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["in/a/x.jpg", "in/a/x.png"]
    for row, shape in zip(rows, ((30, 40), (50, 20)), strict=True):
        mask = read_mask(Path("out") / row["mask"])
        assert mask.shape == shape
        assert set(np.unique(mask)) <= {0, 1, 3}
        shares = [float(row[f"share_{name}"]) for name in ("background", *CLASSES)]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert shares == pytest.approx([(mask == i).mean() for i in range(4)], abs=1e-4)
    assert len(list(Path("out/overlays").rglob("*.jpg"))) == 2


def test_predict_again_gives_the_same_and_takes_no_results_for_images(segmenter: Path) -> None:
    write_image(Path("x.jpg"))
    weaktr("predict", segmenter, ".", "-o", ".")
    first = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    assert weaktr("predict", segmenter, ".", "-o", ".", "--overlay") == 0
    again = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    assert again.items() >= first.items()
    assert set(again) - set(first) == {Path("overlays/x.jpg")}


def test_predict_skips_what_it_cannot_read(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("in/x.jpg"))
    Path("in/broken.jpg").write_bytes(b"no image")
    assert weaktr("predict", segmenter, "in") == 1
    out, err = capsys.readouterr()
    assert "1 of 2 images segmented" in out
    assert "Skipped: 1\n  in/broken.jpg is not an image" in err
    assert Path("predictions/masks/x.png").is_file()


def test_predict_with_a_table_of_tags(segmenter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(Path("in"), {"x.jpg": "cat", "y.jpg": "dog;sky"})
    assert weaktr("predict", segmenter, root / "images", "--tags", root / "tags.csv", "--crf") == 0
    assert "Warning" in (err := capsys.readouterr().err)
    assert "'sky'" in err
    assert set(np.unique(read_mask("predictions/masks/x.png"))) <= {0, 1}
    assert set(np.unique(read_mask("predictions/masks/y.png"))) <= {0, 2}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--scales", "1;2"), "--scales must be numbers"),
        (("--scales", "0"), "--scales must be numbers"),
        (("--scales", "nan"), "--scales must be numbers"),
        (("--tags", "horse"), "'horse' is no class of the model"),
        (("--device", "cuda:99"), "cuda:99"),
    ],
)
def test_predict_refuses_impossible_options(
    segmenter: Path,
    options: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_image(Path("x.jpg"))
    assert weaktr("predict", segmenter, "x.jpg", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("predictions").exists()


def test_a_model_of_the_wrong_kind_is_refused(
    segmenter: Path, cam_network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("x.jpg"))
    assert weaktr("predict", cam_network, "x.jpg") == 2
    assert weaktr("cam", segmenter, "x.jpg") == 2
    assert weaktr("export", cam_network) == 2
    assert capsys.readouterr().err.count("another kind") == 3


def test_what_the_system_refuses_is_one_sentence(
    segmenter: Path, cam_network: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("x.jpg"))
    write_folder(Path("photos"), {"x.jpg": "cat"})
    Path("photos/tags.csv").unlink()
    Path("photos/tags.csv").mkdir()
    Path("file").touch()
    for command, sentence in (
        (("check-data", "--kind", "folder", "--root", "photos"), "photos/tags.csv cannot be read"),
        (("check-data", "--params", "."), ". cannot be read or written (Is a directory)"),
        (("cam", cam_network, "x.jpg", "-o", "photos"), "--output photos is a folder"),
        (("cam", cam_network, "x.jpg", "-o", "file/y.png"), "file cannot be read or written"),
        (("export", segmenter, "-o", "photos"), "--output photos is a folder"),
    ):
        assert weaktr(*command) == 2
        error = capfd.readouterr().err
        assert error.startswith(f"Error: {sentence}")
        assert error.count("\n") == 1


def test_class_names_may_be_longer_than_a_path() -> None:
    names = tuple(f"class {index}" for index in range(100))
    assert class_list(",".join(names)) == names


def test_cam_draws_a_picture(cam_network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(Path("x.jpg"), width=50, height=30)
    assert weaktr("cam", cam_network, "x.jpg", "--tags", "cat,cow") == 0
    assert capsys.readouterr().out == "x.cam.png\n"
    picture = Image.open("x.cam.png")
    assert min(picture.size) > 500
    assert len(np.unique(np.array(picture).reshape(-1, 4), axis=0)) > 500
    assert weaktr("cam", cam_network, "x.jpg", "-o", "y.png", "--tags", "cat,cow") == 0
    assert Path("y.png").read_bytes() == Path("x.cam.png").read_bytes()
    assert weaktr("cam", cam_network, "x.jpg", "-o", "x.jpg") == 2
    assert weaktr("cam", cam_network, "x.jpg", "--tags", "horse") == 2


def test_cam_takes_names_with_dollar_signs_as_they_are(cam_network: Path) -> None:
    write_image(Path("cost$5_$.jpg"), width=50, height=30)
    assert weaktr("cam", cam_network, "cost$5_$.jpg") == 0


def test_head_weights_that_are_almost_equal_look_so() -> None:
    from weaktr.models.cam_kinds import CAM_KINDS
    from weaktr.report.cam_picture import ClassMaps, cam_figure

    weights = np.full((2, 3), 0.9999, np.float32)
    weights[0, 0] = 0.9998
    seen = ClassMaps(
        np.zeros((16, 16, 3), np.uint8),
        np.ones(1, np.float32),
        [np.eye(2, dtype=np.float32)[None] for _ in CAM_KINDS],
        weights,
    )
    figure = cam_figure(seen, ["cat"], [0], "x.jpg")
    panel = next(axis for axis in figure.axes if axis.get_xlabel() == "head")
    assert panel.get_title() == "weights of the attention heads: 0.9998 to 0.9999"
    shades = panel.images[0].norm(weights)
    assert shades.max() - shades.min() < 0.02
    bar = panel.images[0].colorbar.ax
    assert [label.get_text() for label in bar.get_yticklabels()][-1] == "1.000"
    assert bar.yaxis.get_offset_text().get_text() == ""


def test_check_data_lists_all_problems(capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(Path("photos"), {f"{i}.jpg": ("cat", "dog")[i % 2] for i in range(10)})
    assert weaktr("check-data", "--kind", "folder", "--root", root) == 0
    out = capsys.readouterr().out
    assert "cat" in out
    assert "Fit for training" in out
    for name in ("3.jpg", "4.jpg"):
        (root / "images" / name).write_bytes(b"")
    assert weaktr("check-data", "--kind", "folder", "--root", root) == 2
    out = capsys.readouterr().out
    assert "Errors: 2" in out
    assert "3.jpg is empty" in out
    assert "4.jpg is empty" in out
    assert "Training would fail" in out


def test_check_data_reads_params_and_options_go_before_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_folder(Path("photos"), {f"{i}.jpg": ("cat", "dog")[i % 2] for i in range(10)})
    Path("params.yaml").write_text("dataset: {kind: folder, root: photos, classes: [cat]}\n")
    assert weaktr("check-data") == 0
    assert "dog" not in capsys.readouterr().out
    assert weaktr("check-data", "--classes", "cat,dog") == 0
    assert "dog" in capsys.readouterr().out
    assert weaktr("check-data", "--classes", "horse") == 2
    assert weaktr("check-data", "--params", "other.yaml") == 2
    assert weaktr("check-data", "--root", "photos") == 2
    assert "--root needs --kind" in capsys.readouterr().err


def test_check_data_says_how_to_make_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    Path("params.yaml").write_text("dataset: {kind: shapes}\n")
    assert weaktr("check-data") == 2
    assert "dvc repro prepare" in capsys.readouterr().err


def test_import_checkpoint_makes_a_model_folder(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    state = load_case("cam_square_max").state
    torch.save({"model": state}, "checkpoint.pth")
    count = state["head.bias"].shape[0]
    names = ",".join(f"c{i}" for i in range(count))
    assert weaktr("import-checkpoint", "checkpoint.pth", "cam", "--classes", names) == 0
    assert "tensors" in capsys.readouterr().out
    assert read_json("cam/config.json")["classes"] == names.split(",")
    assert weaktr("import-checkpoint", "checkpoint.pth", "voc", "--classes", "voc") == 2
    assert not Path("voc").exists()
    write_image(Path("x.jpg"), width=50, height=30)
    assert weaktr("cam", "cam", "x.jpg") == 0


def test_import_checkpoint_never_deletes_other_files(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    state = load_case("cam_square_max").state
    names = ",".join(f"c{i}" for i in range(state["head.bias"].shape[0]))
    Path("models").mkdir()
    checkpoint = Path("models/checkpoint.pth")
    torch.save({"model": state}, checkpoint)
    Path("models/thesis.tex").touch()
    for output in ("models", ".", checkpoint):
        assert weaktr("import-checkpoint", checkpoint, output, "--classes", names) == 2
    assert capsys.readouterr().err.count("\n") == 3
    assert sorted(path.name for path in Path("models").iterdir()) == [checkpoint.name, "thesis.tex"]
    for _ in range(2):
        assert weaktr("import-checkpoint", checkpoint, "models/cam", "--classes", names) == 0
