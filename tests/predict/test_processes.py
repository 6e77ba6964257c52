"""`predict` in several processes against one."""

import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.colour_model import CLASSES, MODEL, PARAMS, ColourModel, striped
from tests.running import Running, environment
from tests.tiny import contents
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter
from weaktr.predict.run import predict

pytestmark = pytest.mark.slow


def write_images(folder: Path, count: int) -> list[Path]:
    """Of five shapes; two cannot be read."""
    folder.mkdir()
    paths = [folder / f"{i:03}.png" for i in range(count)]
    for i, path in enumerate(paths):
        noise = np.random.default_rng(i).integers(-40, 40, (24, 20 + 3 * (i * i % 5), 3))
        image = striped(noise.shape[1], 24, "krgb"[: 1 + i % 4]) + noise
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)
    paths[3].write_bytes(b"no image")
    paths[-1].write_bytes(paths[0].read_bytes()[:60])
    return paths


def test_two_processes_write_the_bytes_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = write_images(Path("in"), 60)
    outcomes = [
        predict(MODEL, CLASSES, paths, Path(name), PARAMS, overlay=True, devices=devices)
        for name, devices in (("one", ()), ("two", ("cpu", "cpu")))
    ]
    assert outcomes[0] == outcomes[1]
    assert [problem.split()[0] for problem in outcomes[0].skipped] == ["in/003.png", "in/059.png"]
    one, two = contents("one"), contents("two")
    assert len(one) == 2 * 58 + 2
    assert list(one.values()) == list(two.values())


class FailingModel(ColourModel):
    """Has a bug."""

    def masks(self, x: object, *, with_early: bool = False) -> object:  # type: ignore[override]
        raise ZeroDivisionError("a bug")


def test_what_goes_wrong_in_a_process_is_its_own_error(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "in", 12)
    model: Segmenter = FailingModel().eval()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        predict(model, CLASSES, paths, tmp_path / "out", PARAMS, devices=("cpu", "cpu"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "masks").write_text("a file where a folder is to be")
    with pytest.raises(UserError, match=r"masks.* cannot be written"):
        predict(MODEL, CLASSES, paths, tmp_path / "full", PARAMS, devices=("cpu", "cpu"))
    assert not list(tmp_path.rglob("predictions.csv"))


SCRIPT = """
from pathlib import Path
from tests.colour_model import CLASSES, MODEL, PARAMS
from weaktr.errors import one_sentence
from weaktr.predict.run import predict
if __name__ == "__main__":
    paths = sorted(Path("in").iterdir())
    with one_sentence():
        params = PARAMS.model_copy(update={"scales": tuple(0.1 * i for i in range(10, 60))})
        predict(MODEL, CLASSES, paths, Path("out"), params, devices=("cpu", "cpu"))
"""


def workers_of(running: Running) -> list[psutil.Process]:
    """The processes that predict started, so far."""
    return [
        process
        for process in psutil.Process(running.process.pid).children()
        if any("spawn_main" in part for part in process.cmdline())
    ]


@pytest.mark.parametrize("when", ["at once", "at work"])
def test_a_killed_process_ends_all_with_one_sentence(tmp_path: Path, when: str) -> None:
    write_images(tmp_path / "in", 400)
    (tmp_path / "script.py").write_text(SCRIPT)
    running = Running(tmp_path, [sys.executable, "script.py"], environment())
    if when == "at once":
        running.wait_for(lambda: bool(workers_of(running)))
    else:
        running.wait_for(lambda: len(list(tmp_path.glob("out/masks/*.png"))) > 10)
        assert len(workers_of(running)) == 2
    workers = workers_of(running)
    workers[0].kill()
    killed = time.monotonic()
    code, output = running.end()
    assert time.monotonic() - killed < 30
    assert (code, output.count("\n")) == (2, 1), output
    assert "one of 2 processes was killed" in output
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert not (tmp_path / "out/predictions.csv").exists()
