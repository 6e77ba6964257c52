import math

import numpy as np
import pytest

from weaktr.metrics.rank_correlation import spearman


def test_order_alone_counts() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5))
    assert spearman(values, np.exp(values)) == pytest.approx(1)
    assert spearman(values, -(values**3)) == pytest.approx(-1)


def test_ties_share_their_rank() -> None:
    # Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: covariance 4.5 of variances 4.5 and 5.
    found = spearman(np.array([0.0, 5, 5, 7]), np.array([0.0, 2, 1, 3]))
    assert found == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_no_order_is_nan() -> None:
    assert math.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert math.isnan(spearman(np.array([1, math.nan, 2]), np.arange(3.0)))
