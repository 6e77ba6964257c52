"""Sparse matrices times dense ones, as embedding bags.

Their CPU kernel fetches rows ahead: for 21 channels it is twice as fast as torch's sparse matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class SparseMatrix:
    """Rows of weighted columns.

    Attributes:
        starts: int32 `[R + 1]`: row r has the entries `starts[r]` to `starts[r + 1]`.
        columns: int32, the column of each entry.
        values: float32, its value.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product with float32 `[columns, C]`: `[R, C]`."""
        return F.embedding_bag(
            self.columns,
            dense,
            self.starts,
            mode="sum",
            per_sample_weights=self.values,
            include_last_offset=True,
        )


def fixed_rows(columns: Sequence[Tensor], values: Sequence[Tensor]) -> SparseMatrix:
    """Sparse matrix with as many entries in every row.

    Args:
        columns: For the first, second, ... entry of the rows its column `[rows]`.
        values: Likewise its value `[rows]`.
    """
    entries, rows = len(columns), len(columns[0])
    starts = torch.arange(0, rows * entries + 1, entries, device=columns[0].device)
    return SparseMatrix(starts.int(), _interleave(columns), _interleave(values))


def _interleave(vectors: Sequence[Tensor]) -> Tensor:
    """First elements of all vectors, then the second ones, and so on; faster than a stack."""
    result = vectors[0].new_empty(len(vectors[0]), len(vectors))
    for column, vector in zip(result.unbind(1), vectors, strict=True):
        column.copy_(vector)
    return result.flatten()
