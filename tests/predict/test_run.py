import csv
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import weaktr.predict.images
import weaktr.predict.run
import weaktr.segmentation.segment
from tests.colour_model import CLASSES, MODEL, PARAMS, striped
from weaktr.config.crf import CrfParams
from weaktr.config.decoder import DecoderAugmentParams, DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.data.images import PixelLimit, read_with_peak
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter
from weaktr.predict.image_paths import find_images
from weaktr.predict.run import Outcome, predict, prediction_params
from weaktr.segmentation.segment import Segmentation, segment


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def run(
    images: list[Path], output: Path, params: EvaluationParams = PARAMS, **more: Any
) -> Outcome:
    return predict(MODEL, CLASSES, images, output, params, **more)


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_masks_have_the_images_size_and_the_table_their_numbers(tmp_path: Path) -> None:
    image = save(tmp_path / "in" / "a" / "x.png", striped(80, 40, "kkrg"))
    other = save(tmp_path / "in" / "y.png", striped(40, 90, "b"))
    outcome = run([image, other], tmp_path / "out")
    assert (outcome.images, outcome.skipped) == (2, [])
    mask = read_mask(tmp_path / "out" / "masks" / "a" / "x.png")
    expected = np.repeat([0, 0, 1, 2], 20)[None].repeat(40, 0)
    assert mask.shape == (40, 80)
    assert (mask == expected).mean() > 0.98
    first, second = rows_of(tmp_path / "out")
    assert (first["image"], first["mask"]) == (str(image), "masks/a/x.png")
    assert first["classes"] == "red;green"
    assert float(first["share_background"]) == pytest.approx(0.5, abs=0.02)
    assert float(first["share_red"]) == pytest.approx(0.25, abs=0.02)
    assert (second["classes"], second["share_blue"]) == ("blue", "1.0000")
    assert 0.9 < float(second["confidence"]) <= 1
    ids = (tmp_path / "out" / "classes.csv").read_text().splitlines()
    assert ids[:3] == ["id,class,colour", "0,background,#000000", "1,red,#800000"]


def test_known_tags_keep_other_classes_out(tmp_path: Path) -> None:
    images = [save(tmp_path / f"{i}.png", striped(60, 30, "krg")) for i in range(3)]
    run(images, tmp_path / "out", allowed=[(0,), None, ()])
    assert [row["classes"] for row in rows_of(tmp_path / "out")] == ["red", "red;green", ""]
    crf = PARAMS.model_copy(update={"crf": CrfParams(iterations=2)})
    run(images, tmp_path / "crf", crf, allowed=[(0,), None, ()])
    assert [row["classes"] for row in rows_of(tmp_path / "crf")] == ["red", "red;green", ""]


def test_unreadable_images_are_skipped_and_listed(tmp_path: Path) -> None:
    images = [save(tmp_path / f"{i}.png", striped(20, 20, "r")) for i in range(6)]
    images[0].write_bytes(b"")
    images[3].write_bytes(images[4].read_bytes()[:60])
    outcome = run(images, tmp_path / "out")
    assert [Path(problem.split()[0]).name for problem in outcome.skipped] == ["0.png", "3.png"]
    assert [Path(row["image"]).name for row in rows_of(tmp_path / "out")] == [
        f"{i}.png" for i in (1, 2, 4, 5)
    ]
    assert not (tmp_path / "out" / "masks" / "3.png").exists()


def test_rows_keep_the_order_of_images_of_many_shapes(tmp_path: Path) -> None:
    images = [
        save(tmp_path / f"{i:02}.png", striped(10 + 3 * (i * i % 5), 12, "rg")) for i in range(25)
    ]
    run(images, tmp_path / "out")
    assert [row["image"] for row in rows_of(tmp_path / "out")] == [str(path) for path in images]


def test_images_of_equal_shape_go_through_the_network_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def counted(
        model: Segmenter, images: Sequence[np.ndarray], params: EvaluationParams, allowed: Any
    ) -> list[Segmentation]:
        sizes.append(len(images))
        return segment(model, images, params, allowed)

    monkeypatch.setattr(weaktr.predict.images, "segment", counted)
    images = [save(tmp_path / f"{i}.png", striped(20 + i % 2, 20, "r")) for i in range(20)]
    run(images, tmp_path / "out")
    assert sorted(sizes) == [2, 2, 8, 8]


def test_only_a_few_images_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: read but not yet written ones stay under a bound."""
    lock, held, most = threading.Lock(), 0, 0

    def counting_read(path: Path, limit: PixelLimit | None) -> tuple[Image.Image, int | None]:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return read_with_peak(path, limit)

    def counting_write(path: Path, labels: np.ndarray) -> None:
        nonlocal held
        write_mask(path, labels)
        with lock:
            held -= 1

    monkeypatch.setattr(weaktr.predict.images, "read_with_peak", counting_read)
    monkeypatch.setattr(weaktr.predict.images, "write_mask", counting_write)
    images = [save(tmp_path / f"{i}.png", striped(8 + i % 3, 8, "r")) for i in range(300)]
    images.insert(0, save(tmp_path / "odd.png", striped(8, 30, "r")))
    run(images, tmp_path / "out")
    assert held == 0
    assert most < weaktr.predict.run.WINDOW + 40


@pytest.mark.parametrize(("width", "height"), [(1, 1), (8, 8), (3, 200), (500, 4)])
def test_any_size_goes(tmp_path: Path, width: int, height: int) -> None:
    image = save(tmp_path / "x.png", striped(width, height, "g"))
    crf = PARAMS.model_copy(update={"crf": CrfParams(iterations=1), "scales": (0.5, 1.0)})
    for params, name in ((PARAMS, "a"), (crf, "b")):
        run([image], tmp_path / name, params, overlay=True)
        mask = read_mask(tmp_path / name / "masks" / "x.png")
        assert mask.shape == (height, width)
        assert (mask == 2).all()


def test_overlays_are_at_most_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaktr.predict.images.OVERLAY_SIDE", 50)
    wide = save(tmp_path / "wide.png", striped(100, 20, "kr"))
    small = save(tmp_path / "small.png", striped(30, 20, "kr"))
    run([wide, small], tmp_path / "out", overlay=True)
    sizes = [Image.open(tmp_path / "out" / "overlays" / n).size for n in ("wide.jpg", "small.jpg")]
    assert sizes == [(50, 10), (30, 20)]


def test_overlays_need_no_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "weaktr.report.page", raising=False)
    run([save(tmp_path / "x.png", striped(30, 20, "kr"))], tmp_path / "out", overlay=True)
    assert (tmp_path / "out" / "overlays" / "x.jpg").is_file()


def test_images_that_differ_by_suffix_get_masks_of_their_own(tmp_path: Path) -> None:
    save(tmp_path / "in" / "x.png", striped(20, 20, "r"))
    save(tmp_path / "in" / "x.bmp", striped(20, 20, "b"))
    run(find_images([str(tmp_path / "in")]), tmp_path / "out")
    found = {row["image"][-3:]: row["mask"] for row in rows_of(tmp_path / "out")}
    assert (read_mask(tmp_path / "out" / found["png"]) == 1).all()
    assert (read_mask(tmp_path / "out" / found["bmp"]) == 3).all()


def test_an_image_is_never_overwritten(tmp_path: Path) -> None:
    image = save(tmp_path / "masks" / "x.png", striped(20, 20, "r"))
    before = image.read_bytes()
    with pytest.raises(UserError, match="would overwrite the image"):
        run([image], tmp_path)
    assert image.read_bytes() == before
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.png"]


def test_a_result_that_cannot_be_written_ends_in_a_sentence(tmp_path: Path) -> None:
    image = save(tmp_path / "x.png", striped(20, 20, "r"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        run([image], tmp_path / "file")


def test_a_failure_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [save(tmp_path / f"{i}.png", striped(20 + i, 20, "r")) for i in range(4)]
    calls = []

    def failing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("a bug")
        return segment(*arguments)

    monkeypatch.setattr(weaktr.predict.images, "segment", failing)
    with pytest.raises(RuntimeError):
        run(images, tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "predictions.csv" not in written
    assert set(written) <= {"classes.csv", *(f"{i}.png" for i in range(4))}
    for path in (tmp_path / "out" / "masks").glob("*.png"):
        read_mask(path)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_an_image_that_memory_does_not_suffice_for_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    sizes = []

    def short_of_memory(model: Segmenter, images: Sequence[Any], *more: Any) -> Any:
        sizes.append(len(images))
        if len(images) > 1 or images[0][0, 0, 0] > 200:  # red
            raise error
        return segment(model, images, *more)

    monkeypatch.setattr(weaktr.predict.images, "segment", short_of_memory)
    images = [save(tmp_path / f"{i}.png", striped(30, 20, "ggrg"[i])) for i in range(4)]
    outcome = run(images, tmp_path / "out", overlay=True)
    assert sizes == [4, 1, 1, 1, 1]
    assert outcome.skipped == [
        f"{images[2]} (30x20 pixels) needs more memory than there is; make it smaller, cut it into "
        "tiles, or run it on another machine."
    ]
    assert [Path(row["image"]).stem for row in rows_of(tmp_path / "out")] == ["0", "1", "3"]
    assert len(list((tmp_path / "out").rglob("2.*"))) == 0


@pytest.mark.parametrize("place", ["read_with_peak", "write_mask", "overlay_picture"])
def test_memory_that_does_not_suffice_to_read_or_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    original = getattr(weaktr.predict.images, place)

    def failing(*arguments: Any) -> Any:
        if "1.png" in str(arguments[0]) or np.shape(arguments[0])[:1] == (21,):
            raise MemoryError
        return original(*arguments)

    monkeypatch.setattr(weaktr.predict.images, place, failing)
    images = [save(tmp_path / f"{i}.png", striped(30, 20 + i, "g")) for i in range(3)]
    outcome = run(images, tmp_path / "out", overlay=True)
    assert [problem.split()[0] for problem in outcome.skipped] == [str(images[1])]
    assert sorted(path.stem for path in (tmp_path / "out").rglob("*.*g")) == ["0", "0", "2", "2"]


def test_an_image_above_the_limit_is_skipped(tmp_path: Path) -> None:
    images = [save(tmp_path / f"{i}.png", striped(30, 20 + 20 * i, "g")) for i in range(2)]
    outcome = run(images, tmp_path / "out", limit=PixelLimit(0.001, "shrink it"))
    assert outcome.skipped == [
        f"{images[1]} is 30x40 pixels, 0 megapixels, where at most 0.001 are allowed; shrink it."
    ]
    assert [Path(row["image"]).stem for row in rows_of(tmp_path / "out")] == ["0"]


def test_names_that_are_not_unicode_come_back_as_they_were(tmp_path: Path) -> None:
    image = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff x.png"))
    try:
        save(image, striped(20, 20, "r"))
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    run([image], tmp_path / "out")
    assert os.fsencode(image) in (tmp_path / "out" / "predictions.csv").read_bytes()


def test_params_follow_the_models_training() -> None:
    decoder = DecoderParams(crop_size=48, region=12, augment=DecoderAugmentParams(short_side=56))
    params = prediction_params(decoder)
    assert (params.window, params.stride, params.short_side) == (48, 32, 56)
    assert params.crf.backend == "none"
    params = prediction_params(decoder, scales=(0.5, 1), flip=False, short_side=9, crf=True)
    assert (params.scales, params.flip, params.short_side) == ((0.5, 1), False, 9)
    assert (params.crf.backend, params.crf.gaussian_sxy) == ("lattice", 3.0)


def test_photographs(voc_animals: Path, tmp_path: Path) -> None:
    images = sorted((voc_animals / "JPEGImages").glob("*.jpg"))[:6]
    outcome = run(images, tmp_path / "out", PARAMS.model_copy(update={"short_side": 64}))
    assert outcome.skipped == []
    for path in images:
        mask = read_mask(tmp_path / "out" / "masks" / f"{path.stem}.png")
        assert mask.shape[::-1] == Image.open(path).size
