"""Dense CRF: against pydensecrf on real photographs, void pixels, class ids, misuse."""

import builtins
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weaktr.config.crf import CrfParams
from weaktr.crf.dense_crf import _gaussian_lattice, dense_crf, refine_with_crf
from weaktr.errors import UserError

PYDENSECRF = CrfParams(backend="pydensecrf")
COCO: dict[str, Any] = {
    "gaussian_sxy": 1,
    "gaussian_compat": 3,
    "bilateral_sxy": 67,
    "bilateral_srgb": 3,
    "bilateral_compat": 4,
}
needs_pydensecrf = pytest.mark.skipif(
    importlib.util.find_spec("pydensecrf") is None,
    reason="no pydensecrf: pip install pydensecrf2 to compare with it",
)


def scene(height: int = 48, width: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image of three flat areas, and a label map of them with wrong borders."""
    rng = np.random.default_rng(0)
    truth = np.zeros((height, width), dtype=np.uint8)
    truth[:, 20:40], truth[24:, 40:] = 1, 2
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]])
    image = np.clip(colours[truth] + rng.normal(0, 12, (height, width, 3)), 0, 255)
    return image.astype(np.uint8), np.roll(truth, 3, axis=1)


def assert_equal_to_pydensecrf(image: np.ndarray, params: CrfParams, **given: Any) -> None:
    ours = dense_crf(image, params=params, **given)
    theirs = dense_crf(image, params=params.model_copy(update={"backend": "pydensecrf"}), **given)
    difference = np.abs(ours - theirs)
    assert difference.max() <= 5e-3
    assert difference.mean() <= 5e-5
    assert (ours.argmax(0) == theirs.argmax(0)).mean() >= 0.999


@needs_pydensecrf
@pytest.mark.parametrize("num_labels", [1, 2, 3, 7, 16, 21])
def test_equal_to_pydensecrf_for_any_number_of_labels(num_labels: int) -> None:
    image, labels = scene()
    assert_equal_to_pydensecrf(
        image,
        CrfParams(),
        labels=np.minimum(labels, num_labels - 1),
        num_labels=num_labels,
    )


def test_images_of_one_shape_share_a_lattice_and_others_do_not() -> None:
    image, labels = scene()
    wide, sharp = CrfParams(gaussian_sxy=9), CrfParams(gaussian_sxy=1)
    turned = image.transpose(1, 0, 2), labels.T

    def marginals(image: np.ndarray, labels: np.ndarray, params: CrfParams) -> np.ndarray:
        return dense_crf(image, labels=labels, params=params, num_labels=3)

    cases = [(image, labels, wide), (image, labels, sharp), (*turned, wide), (image, labels, wide)]
    together = [marginals(*case) for case in cases]
    for case, found in zip(cases, together, strict=True):
        _gaussian_lattice.cache_clear()
        np.testing.assert_array_equal(found, marginals(*case))


@needs_pydensecrf
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (13, 1), (5, 7), (61, 34)])
def test_equal_to_pydensecrf_for_any_shape(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    probabilities = rng.dirichlet([0.3] * 4, shape).transpose(2, 0, 1).astype(np.float32)
    assert_equal_to_pydensecrf(image, CrfParams(**COCO), probabilities=probabilities, num_labels=4)


@needs_pydensecrf
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_equal_to_pydensecrf_on_photographs(voc_animals: Path, kind: str) -> None:
    """Shifted true masks as labels (VOC's params), or as smooth probabilities (COCO's)."""
    count = int(os.environ.get("WEAKTR_CRF_PHOTOGRAPHS", "6"))
    paths = sorted((voc_animals / "JPEGImages").iterdir())
    paths = paths[:: len(paths) // count][:count]
    assert len(paths) == count
    for path in paths:
        image = np.array(Image.open(path).convert("RGB"))
        mask = Image.open(voc_animals / "SegmentationClassAug" / f"{path.stem}.png")
        ids, labels = np.unique(np.roll(np.array(mask), 9, axis=1), return_inverse=True)
        labels = labels.reshape(image.shape[:2]).astype(np.uint8)
        if kind == "labels":
            given: dict[str, Any] = {"labels": labels}
            params = CrfParams()
        else:
            smooth = np.stack([labels == k for k in range(len(ids))]) * 0.6 + 0.4 / len(ids)
            given = {"probabilities": smooth.astype(np.float32)}
            params = CrfParams(**COCO)
        assert_equal_to_pydensecrf(image, params, num_labels=len(ids), **given)


@pytest.mark.parametrize("backend", ["lattice", pytest.param("pydensecrf", marks=needs_pydensecrf)])
def test_marginals_sharpen_the_labels(backend: Any) -> None:
    image, labels = scene()
    truth = np.roll(labels, -3, axis=1)
    params = CrfParams(backend=backend)
    marginals = dense_crf(image, labels=labels, params=params, num_labels=3)
    assert marginals.shape == (3, 48, 60)
    assert marginals.dtype == np.float32
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-5)
    assert (labels == truth).mean() < 0.95
    assert (marginals.argmax(0) == truth).mean() > 0.98


@needs_pydensecrf
def test_void_is_pydensecrfs_unsure() -> None:
    from pydensecrf.utils import unary_from_labels

    from weaktr.crf.dense_crf import _unary

    _, labels = scene()
    labels[:9] = 255
    shifted = np.where(labels == 255, 0, labels.astype(int) + 1)
    expected = unary_from_labels(shifted, 3, 0.7, zero_unsure=True)
    np.testing.assert_allclose(_unary(labels, None, 0.7, 3), expected, rtol=1e-6)


def test_void_is_filled_from_around_it() -> None:
    image, labels = scene()
    truth = np.roll(labels, -3, axis=1)
    known = truth.copy()
    known[10:20, 5:15] = 255
    marginals = dense_crf(image, labels=known, params=CrfParams(), num_labels=3)
    assert (marginals.argmax(0) == truth).mean() > 0.999


def test_probabilities_need_not_sum_to_one_and_may_be_zero() -> None:
    image, labels = scene()
    probabilities = np.stack([0.8 * (labels == k) for k in range(3)]).astype(np.float32)
    marginals = dense_crf(image, probabilities=probabilities, params=CrfParams(), num_labels=3)
    assert np.isfinite(marginals).all()
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-5)


def test_classes_seen_nowhere_still_count() -> None:
    image, labels = scene()
    few = dense_crf(image, labels=labels, params=CrfParams(), num_labels=3)
    many = dense_crf(image, labels=labels, params=CrfParams(), num_labels=20)
    assert np.abs(few - many[:3]).max() > 1e-3


def test_refine_keeps_class_ids() -> None:
    image, labels = scene()
    ids = np.array([0, 8, 20], dtype=np.uint8)
    refined = refine_with_crf(image, ids[labels], classes=(7, 19), params=CrfParams())
    assert refined.dtype == np.uint8
    assert (refined == ids[np.roll(labels, -3, axis=1)]).mean() > 0.98
    marginals = dense_crf(image, labels=labels, params=CrfParams(), num_labels=3)
    np.testing.assert_array_equal(refined, ids[marginals.argmax(0)])


def test_refine_without_classes_is_background() -> None:
    image, labels = scene()
    assert not refine_with_crf(image, labels, classes=(), params=CrfParams()).any()


def test_refine_refuses_classes_that_are_not_present() -> None:
    image, labels = scene()
    with pytest.raises(ValueError, match="void and"):
        refine_with_crf(image, labels, classes=(0,), params=CrfParams())


def test_same_input_same_bytes() -> None:
    image, labels = scene()
    first, second = (
        dense_crf(image, labels=labels, params=CrfParams(), num_labels=3) for _ in range(2)
    )
    assert first.tobytes() == second.tobytes()


def test_image_memory_need_not_be_contiguous() -> None:
    image, labels = scene()
    turned = dense_crf(image[:, ::-1], labels=labels[:, ::-1], params=CrfParams(), num_labels=3)
    copied = dense_crf(
        image[:, ::-1].copy(), labels=labels[:, ::-1].copy(), params=CrfParams(), num_labels=3
    )
    np.testing.assert_array_equal(turned, copied)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either"),
        ({"labels": np.zeros((48, 60), np.uint8), "probabilities": np.ones((3, 48, 60))}, "either"),
        ({"labels": np.full((48, 60), 3, np.uint8)}, "under 3"),
        ({"labels": np.zeros((48, 59), np.uint8)}, "must fit"),
        ({"probabilities": np.ones((2, 48, 60), np.float32)}, "must fit"),
    ],
)
def test_misuse_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dense_crf(scene()[0], params=CrfParams(), num_labels=3, **given)


def test_backend_none_has_no_marginals() -> None:
    image, labels = scene()
    with pytest.raises(ValueError, match="backend"):
        dense_crf(image, labels=labels, params=CrfParams(backend="none"), num_labels=3)


def test_missing_pydensecrf_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *rest: Any, **kwargs: Any) -> Any:
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return real_import(name, *rest, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    image, labels = scene()
    with pytest.raises(UserError, match="pip install pydensecrf2"):
        dense_crf(image, labels=labels, params=PYDENSECRF, num_labels=3)
