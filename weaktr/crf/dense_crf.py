"""Dense CRF by mean field with a Gaussian and a bilateral kernel (Krähenbühl & Koltun, 2011)."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaktr.config.crf import CrfParams
from weaktr.crf.lattice import KernelSum, Lattice, build_lattice
from weaktr.errors import UserError
from weaktr.labels import VOID, Pixels

MIN_PROBABILITY = 1e-5
"""Probabilities are clipped to at least this before the logarithm."""


def dense_crf(
    image: Pixels,
    *,
    labels: Pixels | None = None,
    probabilities: npt.NDArray[np.float32] | None = None,
    params: CrfParams,
    num_labels: int,
    device: torch.device | str = "cpu",
) -> npt.NDArray[np.float32]:
    """Marginals of a fully connected CRF after mean-field iterations.

    Unary terms come either from a label map, whose labels are right with `params.confidence` and
    share the rest of the probability evenly, or from probabilities. The pairwise terms are Potts
    with a Gaussian kernel over positions and a bilateral one over positions and colours, both with
    symmetric normalisation.

    Args:
        image: RGB `[H, W, 3]`.
        labels: `[H, W]`, 0 to num_labels - 1, or 255 where nothing is known.
        probabilities: `[num_labels, H, W]` in [0, 1]; they need not sum to 1.
        params: Kernels, confidence, iterations, and the backend, `lattice` or `pydensecrf`.
        num_labels: Number of labels K, at least 1.
        device: Where the lattice backend computes.

    Returns:
        float32 `[K, H, W]`, summing to 1 over K.

    Raises:
        UserError: If the backend is `pydensecrf` and that is not installed.
    """
    height, width = image.shape[:2]
    unary = _unary(labels, probabilities, params.confidence, num_labels)
    if unary.shape != (num_labels, height * width):
        raise ValueError(
            f"labels or probabilities must fit the image, {height}x{width} pixels, and num_labels, "
            f"{num_labels}. Got: {unary.shape[0]} labels of {unary.shape[1]} pixels"
        )
    backends = {"lattice": _lattice_marginals, "pydensecrf": _pydensecrf_marginals}
    if params.backend not in backends:
        raise ValueError(f"backend must be one of {sorted(backends)}. Got: {params.backend}")
    marginals = backends[params.backend](image, unary, params, torch.device(device))
    return marginals.reshape(num_labels, height, width)


def refine_with_crf(
    image: Pixels,
    label: Pixels,
    *,
    classes: Sequence[int],
    params: CrfParams,
    device: torch.device | str = "cpu",
) -> Pixels:
    """Sharpens a label map along the image's edges.

    The CRF knows the background and every class of `classes`, seen in the map or not: their number
    decides how improbable a wrong label is, as in the published code.

    Args:
        image: RGB `[H, W, 3]`.
        label: `[H, W]`: 0 background, class + 1, 255 where nothing is known.
        classes: Classes present in the image, 0-based.
        params: The CRF.
        device: Where the lattice backend computes.

    Returns:
        uint8 `[H, W]`, 0 or class + 1 everywhere.
    """
    ids = np.array([0, *(c + 1 for c in classes)], dtype=np.uint8)
    if len(ids) == 1:
        return np.zeros_like(label)
    table = np.full(256, VOID, dtype=np.uint8)
    table[ids] = np.arange(len(ids))
    own = table[label]
    if ((own == VOID) & (label != VOID)).any():
        raise ValueError(f"label must hold 0, void and {ids[1:].tolist()} only")
    marginals = dense_crf(image, labels=own, params=params, num_labels=len(ids), device=device)
    return ids[marginals.argmax(axis=0)]


def _unary(
    labels: Pixels | None,
    probabilities: npt.NDArray[np.float32] | None,
    confidence: float,
    num_labels: int,
) -> npt.NDArray[np.float32]:
    """Negative log-probabilities `[K, H * W]`."""
    if (labels is None) == (probabilities is None):
        raise ValueError("give either labels or probabilities")
    if probabilities is not None:
        clipped = np.clip(probabilities, MIN_PROBABILITY, 1, dtype=np.float32)
        return -np.log(clipped).reshape(len(probabilities), -1)
    assert labels is not None
    flat = labels.reshape(1, -1)
    if ((flat >= num_labels) & (flat != VOID)).any():
        raise ValueError(f"labels must be under {num_labels}, or void. Got: {np.unique(flat)}")
    right = -math.log(confidence)
    wrong = -math.log((1 - confidence) / max(num_labels - 1, 1))
    unary = np.where(flat == np.arange(num_labels)[:, None], right, wrong)
    return np.where(flat == VOID, math.log(num_labels), unary).astype(np.float32)


@torch.inference_mode()
def _lattice_marginals(
    image: Pixels, unary: npt.NDArray[np.float32], params: CrfParams, device: torch.device
) -> npt.NDArray[np.float32]:
    rgb = torch.from_numpy(np.ascontiguousarray(image)).to(device)
    height, width, _ = rgb.shape
    position = _positions(height, width, device)
    colour = rgb.permute(2, 0, 1).flatten(1).float()
    bilateral = torch.cat([position / params.bilateral_sxy, colour / params.bilateral_srgb])
    kernels = KernelSum(
        [_gaussian_lattice(height, width, params.gaussian_sxy, device), build_lattice(bilateral)],
        [params.gaussian_compat, params.bilateral_compat],
    )
    log_prior = torch.from_numpy(-unary).to(device).t().contiguous()
    marginals = _softmax(log_prior)
    for _ in range(params.iterations):
        marginals = _softmax(kernels.add_to(log_prior, marginals))
    return marginals.t().cpu().numpy()


def _positions(height: int, width: int, device: torch.device) -> Tensor:
    """x and y of every pixel, float32 `[2, H * W]`."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device),
        torch.arange(width, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([x, y]).flatten(1)


@lru_cache(maxsize=2)
def _gaussian_lattice(height: int, width: int, sxy: float, device: torch.device) -> Lattice:
    """The lattice of positions, which images of one shape share: upright and lying ones stay."""
    return build_lattice(_positions(height, width, device) / sxy)


def _softmax(logits: Tensor) -> Tensor:
    """Softmax over the labels of `[N, K]`; a CPU is slow at rows shorter than its vectors."""
    if logits.device.type != "cpu" or logits.shape[1] >= 16:
        return logits.softmax(1)
    by_label = torch.stack(logits.unbind(1)).softmax(0)
    result = torch.empty_like(logits)
    for column, label in zip(result.unbind(1), by_label, strict=True):
        column.copy_(label)
    return result


def _pydensecrf_marginals(
    image: Pixels, unary: npt.NDArray[np.float32], params: CrfParams, device: torch.device
) -> npt.NDArray[np.float32]:
    try:
        from pydensecrf import densecrf
    except ImportError:
        raise UserError(
            "crf.backend: 'pydensecrf' needs a package that is not installed; run "
            "`pip install pydensecrf2`, or set the backend to 'lattice'."
        ) from None
    height, width, _ = image.shape
    crf: Any = densecrf.DenseCRF2D(width, height, len(unary))
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    crf.addPairwiseGaussian(sxy=params.gaussian_sxy, compat=params.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=params.bilateral_sxy,
        srgb=params.bilateral_srgb,
        rgbim=np.ascontiguousarray(image),
        compat=params.bilateral_compat,
    )
    return np.array(crf.inference(params.iterations), dtype=np.float32)
