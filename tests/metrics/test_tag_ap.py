import numpy as np
import pytest
import torch

from weaktr.metrics.tag_ap import tag_scores


def test_average_precision_of_tags_by_hand() -> None:
    """Ranks of class 0: yes, no, yes; class 1 is on no image; class 2 is ranked right."""
    probabilities = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.2, 0.9], [0.7, 0.3, 0.1]])
    targets = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    result = tag_scores(probabilities, targets)
    np.testing.assert_allclose(result.average_precision, [100 * (1 + 2 / 3) / 2, np.nan, 100])
    assert result.given.tolist() == [2, 0, 1]
    assert result.predicted.tolist() == [3, 0, 1]
    assert result.both.tolist() == [2, 0, 1]
    assert result.mean == pytest.approx((100 * (1 + 2 / 3) / 2 + 100) / 2)
    assert np.isnan(tag_scores(torch.zeros(0, 3), torch.zeros(0, 3)).mean)
