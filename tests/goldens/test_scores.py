"""Scores against the published implementation."""

import torch

from tests.golden_cases import load_case
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import scores


def test_scores_equal_published() -> None:
    case = load_case("miou_eval")
    labels = case.hyper["num_cls"]
    confusion = ConfusionMatrix(labels)
    for i in range(case.hyper["n_images"]):
        confusion.update(case.tensors[f"pred.{i}"], case.tensors[f"gt.{i}"])
    matrix = torch.from_numpy(confusion.matrix())
    assert torch.equal(matrix.diagonal(), case.tensors["tp"])
    assert torch.equal(matrix.sum(0), case.tensors["p"])
    assert torch.equal(matrix.sum(1), case.tensors["t"])
    result = scores(confusion.matrix(), tuple("abcdef"))
    golden = case.tensors["iou"]
    torch.testing.assert_close(
        torch.from_numpy(result.per_class["iou"]).float(), golden, rtol=1e-6, atol=0, equal_nan=True
    )
    summary = result.summary()
    names = ("iou", "false_positive", "false_negative", "precision", "recall")
    case.check("summary", torch.tensor([summary[f"mean_{name}"] for name in names]))
    assert summary["iou_undefined_classes"] == int(golden.isnan().sum()) == 1
