"""Trained models on disk: a folder with `model.safetensors` and `config.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from weaktr import __version__
from weaktr.config import CamParams, DecoderParams
from weaktr.errors import UserError
from weaktr.files import read_json, replace_dir, write_json
from weaktr.models.weights import check_names

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class LoadedModel(NamedTuple):
    """A model and what is known of it.

    Attributes:
        model: `CAMNetwork` or `Segmenter` in evaluation mode, on the device asked for.
        classes: Class names without background, in the order of the model's outputs.
        config: The whole of `config.json`.
    """

    model: Any
    classes: tuple[str, ...]
    config: dict[str, Any]


def save_model(
    model: Any,
    folder: str | Path,
    *,
    classes: Sequence[str],
    extra: dict[str, Any] | None = None,
) -> None:
    """Saves a CAM network or a segmenter; equal models give equal bytes.

    Args:
        model: With `kind` ("cam" or "segmenter"), `params` (its section), `mean` and `std`.
        folder: Replaced as a whole.
        classes: Class names without background.
        extra: More JSON values for `config.json`, under `extra`.
    """
    params = model.params.model_dump(mode="json")
    params["backbone"]["weights"] = "none"  # they are here; where they once came from is no matter
    config = {
        "kind": model.kind,
        "version": __version__,
        "classes": list(classes),
        "params": params,
        "normalization": {"mean": list(model.mean), "std": list(model.std)},
        "extra": extra or {},
    }
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    with replace_dir(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(save(state, metadata={"format": "pt"}))
        write_json(temporary / CONFIG, config)


def build_model(kind: str, params: dict[str, Any], num_classes: int) -> nn.Module:
    """An untrained model of a kind, on the CPU.

    Args:
        kind: "cam" or "segmenter".
        params: Values of the `cam` or `decoder` section.
        num_classes: Without background.
    """
    if kind == "cam":
        from weaktr.models.cam import build_cam_network

        return build_cam_network(CamParams.model_validate(params), num_classes, pretrained=False)
    if kind == "segmenter":
        from weaktr.models.segmenter import build_segmenter

        section = DecoderParams.model_validate(params)
        return build_segmenter(section, num_classes + 1, pretrained=False)
    raise UserError(f"{CONFIG}: kind must be cam or segmenter. Got: {kind!r}")


def load_model(
    folder: str | Path, device: str | torch.device = "cpu", *, kind: str | None = None
) -> LoadedModel:
    """Loads what `save_model` saved; every tensor must find its place.

    Args:
        folder: With `model.safetensors` and `config.json`.
        device: Where the model goes.
        kind: "cam" or "segmenter", where only that will do.

    Raises:
        UserError: If a file is missing or damaged, the two do not fit each other, or the model is
            of another kind.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} is not a saved model: it has no {name}; name a folder that holds "
                f"{WEIGHTS} and {CONFIG}."
            )
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise UserError(f"{folder / CONFIG} does not describe a model; save it again.")
    if kind is not None and config.get("kind") != kind:
        raise UserError(
            f"{folder} holds a model of another kind; a {kind} is needed. "
            f"Got: {config.get('kind')!r}"
        )
    try:
        classes = tuple(config["classes"])
        model = build_model(config["kind"], config["params"], len(classes))
    except (KeyError, TypeError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder / CONFIG} does not describe a model of weaktr {__version__}; save it again. "
            f"Got: {type(error).__name__}: {reason}"
        ) from None
    try:
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{folder / WEIGHTS} is damaged; restore or remake it. Got: {error}"
        ) from None
    check_names(state, model.state_dict(), str(folder / WEIGHTS))
    model.load_state_dict(state)
    return LoadedModel(model.to(device).eval(), classes, config)
