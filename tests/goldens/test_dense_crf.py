"""The lattice CRF gives the marginals and labels that the published code gets from pydensecrf."""

import numpy as np
import pytest

from tests.golden_cases import GoldenCase, load_case
from weaktr.config.crf import CrfParams
from weaktr.crf.dense_crf import dense_crf

CASES = [
    "crf_label_coco_3",
    "crf_label_voc_2",
    "crf_label_voc_3",
    "crf_softmax_coco",
    "crf_softmax_voc",
]


def marginals(case: GoldenCase, iterations: int, **changes: float) -> np.ndarray:
    hyper = case.hyper
    values = {
        "iterations": iterations,
        "confidence": hyper.get("gt_prob", 0.7),
        "gaussian_sxy": hyper["gaussian"]["sxy"],
        "gaussian_compat": hyper["gaussian"]["compat"],
        "bilateral_sxy": hyper["bilateral"]["sxy"],
        "bilateral_srgb": hyper["bilateral"]["srgb"],
        "bilateral_compat": hyper["bilateral"]["compat"],
    }
    tensors = {name: tensor.numpy() for name, tensor in case.tensors.items()}
    return dense_crf(
        tensors["image"].astype(np.uint8),
        labels=tensors["labels"].astype(np.uint8) if "labels" in tensors else None,
        probabilities=tensors.get("probs"),
        params=CrfParams(**(values | changes)),
        num_labels=hyper["n_labels"],
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("output", "iterations"), [("q_t1", 1), ("q", 10)])
def test_marginals(name: str, output: str, iterations: int) -> None:
    case = load_case(name)
    golden = case.tensors[output].numpy()
    difference = np.abs(marginals(case, iterations) - golden)
    assert difference.max() <= case.tolerances[output] == 5e-3
    assert difference.mean() <= 5e-5


@pytest.mark.parametrize("name", CASES)
def test_labels(name: str) -> None:
    case = load_case(name)
    expected = case.tensors["out_labels" if "labels" in case.tensors else "argmax"].numpy()
    labels = marginals(case, iterations=10).argmax(axis=0)
    assert (labels == expected).mean() >= 0.999
    top = np.sort(case.tensors["q"].numpy(), axis=0)
    assert ((top[-1] - top[-2])[labels != expected] < 1e-2).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("changed", ["gaussian_sxy", "bilateral_srgb", "gaussian_compat"])
def test_another_kernel_is_noticed(name: str, changed: str) -> None:
    case = load_case(name)
    golden = case.tensors["q"].numpy()
    difference = np.abs(marginals(case, 10, **{changed: 4.5}) - golden)
    assert difference.max() > 5e-3
    assert difference.mean() > 5e-5
