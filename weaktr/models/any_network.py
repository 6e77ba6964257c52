"""Loading a saved network of whichever kind it is."""

from pathlib import Path

import torch

from weaktr.errors import UserError
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.network import Network
from weaktr.models.saving import CONFIG, LoadedModel, load_model, read_config
from weaktr.models.segmenter import Segmenter

NETWORKS: dict[str, type[Network]] = {network.kind: network for network in (CAMNetwork, Segmenter)}
"""Every network that can be saved, by its kind."""


def load_any_model(
    folder: str | Path, device: str | torch.device = "cpu"
) -> LoadedModel[CAMNetwork] | LoadedModel[Segmenter]:
    """Loads a saved network; `model` is a `CAMNetwork` or a `Segmenter`.

    Args:
        folder: With `model.safetensors` and `config.json`.
        device: Where the network goes.

    Raises:
        UserError: As for `load_model`, or if the kind is unknown.
    """
    kind = read_config(folder).kind
    if kind not in NETWORKS:
        raise UserError(
            f"{Path(folder) / CONFIG}: kind must be {' or '.join(NETWORKS)}. Got: {kind!r}"
        )
    return load_model(folder, NETWORKS[kind], device)  # type: ignore[return-value]
