"""Sums over the attention maps of all heads and layers, without ever keeping the maps.

The fine CAM needs one weighted mean over all `L * H` maps (paper: section III-B), restricted to
patch columns: its class rows are the class-to-patch map, its patch rows the affinity. The maps
enter detached, so that only the head weights get a gradient. Two exact forms follow from that:

- `attention_marginals` is all that *training* needs. The fine logit of a class is the mean of
  `affinity @ cam` over patches, and `1' (affinity @ cam) = (1' affinity) cam`: of a head's
  `[P, P]` block only its column sums matter, beside its class rows. They do not depend on the
  weights, so that one pass during the forward gives them, and the gradient of a head's weight, the
  inner product of the upstream gradient with that head's map, is an inner product of `C + 1` rows.
- `FusedAttention` is what inference needs: the class rows, of class queries alone, and the product
  `affinity @ cam`, which is attention whose values are the CAMs. It takes torch's fused kernel, and
  no array of P x P elements.

Where somebody looks at the maps themselves, `fuse_attention` gives both in full. It accumulates
them layer by layer from queries and keys; its backward makes each layer's maps anew.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Elements of attention maps made at a time: small enough to stay in a CPU's cache, and large
# enough to keep a GPU busy.
CHUNK_ELEMENTS = {"cpu": 1 << 19, "cuda": 1 << 25}


class TokenLayout(NamedTuple):
    """Where tokens lie in a sequence: class tokens, register tokens, patch tokens.

    Attributes:
        classes: C.
        prefix: Class and register tokens together; patches begin there.
    """

    classes: int
    prefix: int


def _rows(x: Tensor, layout: TokenLayout, patches: bool = True) -> Tensor:
    """`[B, H, N, d]` -> `[B, H, C + P, d]`: register tokens ask for nothing; C without patches."""
    if not patches:
        return x[:, :, : layout.classes]
    if layout.classes == layout.prefix:
        return x
    return torch.cat((x[:, :, : layout.classes], x[:, :, layout.prefix :]), dim=2)


def _maps(query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Attention of queries `[B, H, n, d]` to keys `[B, H, N, d]`, in chunks of images and rows.

    Yields:
        Image slice, row slice, and their maps `[b, H, r, N]` in float32 (float64 for float64).
    """
    B, H, n, d = query.shape
    N = key.shape[2]
    budget = CHUNK_ELEMENTS.get(query.device.type, CHUNK_ELEMENTS["cuda"])
    images = max(1, budget // (H * max(1, n) * N))
    rows = max(1, min(n, budget // (H * N)))
    dtype = torch.promote_types(query.dtype, torch.float32)
    query = query * d**-0.5
    for first in range(0, B, images):
        some = slice(first, first + images)
        keys = key[some].mT
        for top in range(0, n, rows):
            part = slice(top, top + rows)
            yield some, part, torch.softmax(query[some, :, part] @ keys, dim=-1, dtype=dtype)


@torch.no_grad()
def attention_marginals(query: Tensor, key: Tensor, layout: TokenLayout) -> Tensor:
    """Class rows and patch column sums of every head's attention map, over patch columns.

    Args:
        query: `[B, H, N, d]`.
        key: `[B, H, N, d]`.
        layout: Of the sequence.

    Returns:
        `[B, H, C + 1, P]`: the attention of each class token, then the sum of all patches'
        attention. Softmax runs over all N tokens before the restriction to patches.
    """
    C, prefix = layout
    B, H, N, _ = key.shape
    dtype = torch.promote_types(query.dtype, torch.float32)
    marginals = query.new_zeros((B, H, C + 1, N - prefix), dtype=dtype)
    for images, rows, maps in _maps(_rows(query, layout), key):
        maps = maps[..., prefix:]
        classes = max(0, min(rows.stop, C) - rows.start)
        if classes:
            marginals[images, :, rows.start : rows.start + classes] = maps[:, :, :classes]
        marginals[images, :, C] += maps[:, :, classes:].sum(dim=2)
    return marginals


class _FuseAttention(torch.autograd.Function):
    """The weighted mean over maps, and its gradient by the weights, layer by layer."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, layout: TokenLayout, patches: bool, *layers: Tensor
    ) -> Tensor:
        B, L, H = weights.shape
        queries, keys = layers[:L], layers[L:]
        N = keys[0].shape[2]
        rows_in_all = layout.classes + (N - layout.prefix if patches else 0)
        fused = weights.new_zeros((B, rows_in_all, N))
        for index in range(L):
            asking = _rows(queries[index], layout, patches)
            for images, rows, maps in _maps(asking, keys[index]):
                weight = weights[images, None, index].to(maps.dtype)
                fused[images, rows] += (weight @ maps.flatten(2)).view(-1, *maps.shape[2:])
        ctx.layout, ctx.patches = layout, patches
        ctx.save_for_backward(weights, *layers)
        return fused[..., layout.prefix :] / (L * H)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (upstream,) = gradients
        weights, *layers = ctx.saved_tensors
        _, L, H = weights.shape
        queries, keys = layers[:L], layers[L:]
        prefix = ctx.layout.prefix
        inner = torch.zeros_like(weights)
        for index in range(L):
            asking = _rows(queries[index], ctx.layout, ctx.patches)
            for images, rows, maps in _maps(asking, keys[index]):
                slope = upstream[images, rows].to(maps.dtype).flatten(1)[..., None]
                inner[images, index] += (maps[..., prefix:].flatten(2) @ slope)[..., 0]
        return inner / (L * H), None, None, *[None] * len(layers)


def fuse_attention(
    weights: Tensor, queries: Sequence[Tensor], keys: Sequence[Tensor], layout: TokenLayout
) -> tuple[Tensor, Tensor]:
    """Weighted mean of all heads' attention maps; differentiable by the weights only.

    Args:
        weights: `[B, L, H]`, one per head.
        queries: L tensors `[B, H, N, d]`.
        keys: L tensors `[B, H, N, d]`.
        layout: Of the sequence.

    Returns:
        Class-to-patch map `[B, C, P]` and affinity `[B, P, P]` (row: the patch that asks; column:
        the patch that is attended to). Softmax runs over all N tokens before the restriction, and
        weights are not normalised, so that rows do not sum to 1.
    """
    detached = [x.detach() for x in (*queries, *keys)]
    fused = _FuseAttention.apply(weights, layout, True, *detached)
    return fused[:, : layout.classes], fused[:, layout.classes :]


class FusedAttention(NamedTuple):
    """The weighted mean of all heads' attention maps, as what it is made of.

    Attributes:
        weights: `[B, L, H]`, one per head.
        queries: L tensors `[B, H, N, d]`.
        keys: L tensors `[B, H, N, d]`.
        layout: Of the sequence.
    """

    weights: Tensor
    queries: Sequence[Tensor]
    keys: Sequence[Tensor]
    layout: TokenLayout

    def class_rows(self) -> Tensor:
        """The class-to-patch map `[B, C, P]`; differentiable by the weights."""
        detached = [x.detach() for x in (*self.queries, *self.keys)]
        return _FuseAttention.apply(self.weights, self.layout, False, *detached)

    def affinity(self) -> Tensor:
        """The patch-to-patch map `[B, P, P]`, as of `fuse_attention`: to be looked at."""
        return fuse_attention(self.weights, self.queries, self.keys, self.layout)[1]

    def propagate(self, cam: Tensor) -> Tensor:
        """`affinity @ cam` in memory that grows with P, not with its square.

        Every head's map times the CAMs is attention whose values are the CAMs at patches and zero
        at other tokens. They are as many channels wide as queries are, which torch's fused kernels
        ask for. In 16 bits they are first scaled to at most 1, so that small ones do not vanish.

        Args:
            cam: `[B, K, P]`, not negative; gradients pass to it and to the weights.

        Returns:
            `[B, K, P]` in float32 (float64 for float64).
        """
        K = cam.shape[1]
        width, dtype = self.keys[0].shape[3], self.keys[0].dtype
        scale = None
        if dtype.itemsize < 4:
            tiny = torch.finfo(torch.float32).tiny
            scale = cam.detach().float().amax(dim=2, keepdim=True).clamp(min=tiny)
            cam = cam / scale
        with torch.autocast(cam.device.type, enabled=False):
            parts = [
                self._propagate_few(cam[:, first : first + width], dtype)
                for first in range(0, K, width)
            ]
        result = torch.cat(parts, dim=1)
        return result if scale is None else result * scale

    def _propagate_few(self, cam: Tensor, dtype: torch.dtype) -> Tensor:
        """`propagate` for no more maps than a head has channels."""
        _, L, H = self.weights.shape
        K, width = cam.shape[1], self.keys[0].shape[3]
        values = F.pad(cam.mT, (0, width - K, self.layout.prefix, 0)).to(dtype)
        values = values[:, None].expand(-1, H, -1, -1)
        total: Tensor | None = None
        for index in range(L):
            query = self.queries[index].detach()[:, :, self.layout.prefix :]
            key = self.keys[index].detach()
            heads = F.scaled_dot_product_attention(query, key, values)[..., :K]
            heads = heads.to(torch.promote_types(dtype, torch.float32))
            mean = torch.einsum("bh,bhpk->bkp", self.weights[:, index].to(heads.dtype), heads)
            total = mean if total is None else total + mean
        assert total is not None  # a backbone has a layer
        return total / (L * H)
