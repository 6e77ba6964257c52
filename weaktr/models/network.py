"""What the CAM network and the segmenter have in common, and all that saving them takes."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from torch import nn

from weaktr.config.values import Section


class Network(nn.Module, ABC):
    """A network that is built from one section of params and saved beside it.

    Attributes:
        kind: Its name in `config.json`.
        params_class: The section.
        params: The section's values that it was built from.
        mean, std: Normalisation of the input, RGB in [0, 1].
        patch_size: Side of a patch in pixels.
    """

    kind: ClassVar[str]
    params_class: ClassVar[type[Section]]
    params: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch_size: int

    @classmethod
    @abstractmethod
    def from_params(cls, params: Any, num_classes: int, *, pretrained: bool = True) -> Self:
        """Builds the network.

        Args:
            params: An instance of `params_class`.
            num_classes: C, without background.
            pretrained: Load the backbone's weights; False where other weights follow anyway.

        Raises:
            UserError: If the backbone or its weights cannot be had, or sizes do not fit.
        """

    @abstractmethod
    def set_gradient_checkpointing(self, enable: bool = True) -> None:
        """Recomputes the backbone's blocks in the backward pass, and keeps no activations."""
