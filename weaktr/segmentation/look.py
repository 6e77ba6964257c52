"""The network over images: what comes before labels, wherever these are made."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.network_passes import ScaleMasks, network_passes
from weaktr.segmentation.sliding_window import InferenceSettings, scaled_inputs


class Seen(NamedTuple):
    """An image and what the network says about it."""

    image: Pixels
    """RGB `[H, W, 3]`."""
    passes: list[ScaleMasks]
    """Of every scale and mirror image."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]


@torch.inference_mode()
def look(model: Segmenter, images: Iterable[Pixels], settings: InferenceSettings) -> Iterator[Seen]:
    """Runs the network over images of any shapes, whose windows share its forward passes.

    Args:
        model: In evaluation mode; inputs go to its device.
        images: RGB uint8 `[H, W, 3]`; read as far as the next forward pass needs them.
        settings: Windows, scales and flip.

    Yields:
        Every image, in their order.
    """
    device = next(model.parameters()).device
    begun: deque[Pixels] = deque()

    def inputs() -> Iterator[tuple[Tensor, bool]]:
        for image in images:
            begun.append(image)
            batch = torch.from_numpy(image)[None].to(device)
            yield from scaled_inputs(batch, settings, mean=model.mean, std=model.std)

    passes = network_passes(model, inputs(), settings)
    while of_one := list(islice(passes, settings.passes)):
        yield Seen(begun.popleft(), of_one)
