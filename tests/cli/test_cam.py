from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.console import weaktr
from tests.tiny_data import write_image

pytestmark = pytest.mark.slow


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
