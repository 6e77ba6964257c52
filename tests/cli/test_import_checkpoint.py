from pathlib import Path

import pytest

from tests.console import weaktr
from tests.golden_cases import load_case
from tests.tiny_data import write_image
from weaktr.files import read_json

pytestmark = pytest.mark.slow


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
