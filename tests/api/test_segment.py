"""Segmenting from Python, one image or many."""

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaktr
from tests.api.scene import SCENE
from tests.console import CLASSES
from tests.console import weaktr as console
from tests.tiny_data import write_image
from weaktr.data.images import read_image
from weaktr.predict import run

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
