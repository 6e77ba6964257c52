"""Dense CRF on the lattice in torch, against pydensecrf, on one CPU thread each."""

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Bytes
from benchmarks.measure import Step
from benchmarks.photograph import scene
from weaktr.config.crf import CrfParams
from weaktr.crf.dense_crf import dense_crf
from weaktr.crf.lattice import build_lattice

HEIGHT, WIDTH = 375, 500
LABELS = (3, 21)
PARAMS = CrfParams(backend="lattice")
THEIRS = "pydensecrf2"


def cases(device: torch.device) -> Iterator[Case]:
    """With 3 and with 21 labels: growth with the labels."""
    for count in LABELS:
        yield Case(
            family="dense CRF",
            name=f"{count} labels",
            seconds=15,
            build=partial(_build, count),
        )


def _build(count: int, device: torch.device, stack: ExitStack) -> Race:
    """VOC's kernels; pydensecrf has the CPU only."""
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(1)
    image, shapes = scene(HEIGHT, WIDTH, labels=count)
    labels = np.roll(shapes, (6, 9), (0, 1))
    crf = partial(dense_crf, image, labels=labels, num_labels=count)
    ours = partial(crf, params=PARAMS, device=device)
    theirs = partial(crf, params=CrfParams(backend="pydensecrf"))
    installed = importlib.util.find_spec("pydensecrf") is not None
    steps: dict[str, Step] = {"ours": ours}
    if installed:
        steps[THEIRS] = theirs

    def notes() -> list[str]:
        if not installed:
            return ["pydensecrf2 was not installed (`pip install pydensecrf2`)."]
        difference = float(np.abs(ours() - theirs()).max())
        return [f"{count} labels: largest difference of a marginal {difference:.0e}."]

    return Race(
        steps=steps,
        lines=[
            Line(
                setting=f"{count} labels, {WIDTH}x{HEIGHT}, 1 thread",
                against=THEIRS if installed else None,
                limit=Bytes(_traffic(image, count), threads=1),
            )
        ],
        memory="tensors" if device.type == "cuda" else None,
        notes=notes,
    )


def _traffic(image: np.ndarray, labels: int) -> float:
    """Bytes that pass through memory if every array is read and written once for each step.

    For each kernel and iteration: values of pixels and of vertices at splat and slice, vertices
    twice for each axis of the blur, and beside these the indices and weights of corners and
    neighbours.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    position = np.stack([x, y]).reshape(2, -1)
    colour = image.reshape(-1, 3).T.astype(np.float32)
    spatial = position / PARAMS.gaussian_sxy
    bilateral = [position / PARAMS.bilateral_sxy, colour / PARAMS.bilateral_srgb]
    pixels, total = HEIGHT * WIDTH, 0.0
    for features in (spatial, np.concatenate(bilateral)):
        corners = len(features) + 1
        vertices = build_lattice(torch.from_numpy(features)).num_vertices
        values = 4 * labels * (2 * pixels + 2 * vertices + 2 * corners * vertices)
        links = 2 * 8 * corners * pixels + 2 * 4 * corners * vertices
        total += values + links
    return PARAMS.iterations * (total + 4 * labels * 2 * pixels)  # and the softmax
