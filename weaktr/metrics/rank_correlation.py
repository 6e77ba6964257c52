"""Whether two measures put things in the same order."""

import math

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def spearman(a: Values, b: Values) -> float:
    """Spearman's rank correlation of two measures; equal values share their mean rank.

    Args:
        a: Of each thing, any shape.
        b: Of the same things, in the same shape.

    Returns:
        From -1, the opposite order, to 1, the same; NaN where one of them tells nothing apart, or
        a value is not finite.

    >>> round(spearman(np.array([1.0, 2, 3, 4]), np.array([0.1, 9, 8, 10])), 3)
    0.8
    """
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.nan
    first, second = _ranks(a), _ranks(b)
    if not first.std() or not second.std():
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Values) -> Values:
    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[place]
