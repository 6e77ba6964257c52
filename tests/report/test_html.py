import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weaktr.data.masks import write_mask
from weaktr.device import choose_device, set_threads
from weaktr.errors import UserError
from weaktr.metrics.scores import scores
from weaktr.progress import track
from weaktr.report.html import Example, examples_figure, save_picture, write_report
from weaktr.report.overlay import overlay
from weaktr.segmentation.voc_server import write_voc_archive

IMAGE = np.full((8, 10, 3), 100, np.uint8)
LABELS = np.zeros((8, 10), np.uint8)
LABELS[2:5, 3:7] = 1


def write(path: Path, **changes: object) -> str:
    values: dict[str, object] = {
        "title": "a <b> title",
        "classes": ["cat & dog", "cow"],
        "chain": [("seed", 51.23), ("decoder", float("nan"))],
        "notes": ["Masks influenced nothing."],
        "result": scores(np.array([[6, 2], [1, 0]]), ("background", "cat & dog")),
        "predictions": [Example(IMAGE, LABELS, None)],
        "pseudo_labels": [],
        "curves": {"train_cam": pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]})},
    }
    write_report(path, **{**values, **changes})  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def test_the_report_is_one_file_with_escaped_names_and_undefined_values(tmp_path: Path) -> None:
    text = write(tmp_path / "report.html")
    assert "<h1>a &lt;b&gt; title</h1>" in text
    assert "cat &amp; dog" in text
    assert '<td>seed</td><td class="number">51.2</td>' in text
    assert '<td>decoder</td><td class="number">–</td>' in text
    assert text.count("data:image/png;base64,") == 2  # one picture of examples, one of curves
    assert "http" not in text


def test_pictures_have_a_key_of_the_classes_in_them(tmp_path: Path) -> None:
    truth = np.where(LABELS, 255, 0).astype(np.uint8)
    text = write(tmp_path / "report.html", predictions=[Example(IMAGE, LABELS, truth)])
    assert '<i style="background: rgb(128 0 0)"></i>cat &amp; dog</span>' in text
    assert '<i style="background: rgb(224 224 192)"></i>void</span>' in text
    assert "cow" not in text


def test_equal_reports_are_equal_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a.html") == write(tmp_path / "b.html")
    for name in ("a.png", "b.png"):
        figure = examples_figure([Example(IMAGE, LABELS, LABELS)], "prediction")
        save_picture(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_report_without_masks_has_no_scores(tmp_path: Path) -> None:
    text = write(tmp_path / "report.html", result=None, chain=[], curves={})
    assert "IoU" not in text


def test_an_overlay_paints_classes_and_leaves_background() -> None:
    painted = overlay(IMAGE, LABELS, opacity=0.5)
    assert painted[0, 0].tolist() == [100, 100, 100]
    assert painted[3, 4].tolist() == [114, 50, 50]  # half of VOC's dark red (128, 0, 0)


def test_vocs_archive_has_the_servers_layout_and_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in ("2008_000006", "2008_000001"):
        write_mask(tmp_path / "masks" / f"{name}.png", LABELS)
    for name in ("a.tgz", "b.tgz"):
        write_voc_archive(tmp_path / "masks", tmp_path / name)
    assert (tmp_path / "a.tgz").read_bytes() == (tmp_path / "b.tgz").read_bytes()
    with tarfile.open(tmp_path / "a.tgz") as archive:
        folder = "results/VOC2012/Segmentation/comp6_test_cls"
        assert archive.getnames() == [f"{folder}/2008_000001.png", f"{folder}/2008_000006.png"]
        member = archive.extractfile(archive.getnames()[0])
        assert member is not None
        ids = np.asarray(Image.open(io.BytesIO(member.read())))
    assert (ids == LABELS).all()


def test_progress_is_quiet_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter(range(3)), "counting")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")


def test_devices_that_are_not_there_are_refused() -> None:
    assert choose_device("cpu", given_as="--device") == "cpu"
    assert choose_device("auto", given_as="--device") in ("cpu", "cuda")
    for name in ("cuda:99", "quantum", "", "meta", "hpu"):
        with pytest.raises(UserError, match="^--device: .* is not available"):
            choose_device(name, given_as="--device")


@pytest.mark.parametrize(("text", "threads"), [("1,4", 1), ("", None), ("all", None), ("0", None)])
def test_any_omp_num_threads_goes(
    monkeypatch: pytest.MonkeyPatch, text: str, threads: int | None
) -> None:
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    set_threads(0)
    chosen = torch.get_num_threads()
    torch.set_num_threads(before)
    assert chosen == (threads or len(os.sched_getaffinity(0)))


def test_threads_can_be_set() -> None:
    import torch

    before = torch.get_num_threads()
    set_threads(1)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
