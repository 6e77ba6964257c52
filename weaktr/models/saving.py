"""Trained networks on disk: a folder with `model.safetensors` and `config.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from weaktr.data.manifest import check_classes
from weaktr.errors import UserError
from weaktr.files import read_json, replace_dir, replace_file, write_json
from weaktr.models.network import Network
from weaktr.models.pretrained import check_names

WEIGHTS, CONFIG = "model.safetensors", "config.json"

_IMPOSSIBLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What libraries raise when they are asked for sizes that cannot be."""

N = TypeVar("N", bound=Network)


class SavedConfig(BaseModel):
    """What `config.json` holds.

    Attributes:
        kind: Which network: its `kind`.
        classes: Class names without background, in the order of the network's outputs.
        params: Values of the section that it was built from.
        normalization: Mean and standard deviation of the input, for readers without this package.
        extra: What else is known of it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    kind: str
    classes: list[str]
    params: dict[str, Any]
    normalization: dict[str, list[float]] = {}
    extra: dict[str, Any] = {}


class LoadedModel(Generic[N]):
    """A network and what is known of it.

    Attributes:
        model: In evaluation mode, on the device asked for.
        classes: Class names without background, in the order of the network's outputs.
        config: The whole of `config.json`.
    """

    def __init__(self, model: N, config: SavedConfig) -> None:
        self.model = model
        self.classes = tuple(config.classes)
        self.config = config


def save_model(
    model: Network,
    folder: str | Path,
    *,
    classes: Sequence[str],
    extra: dict[str, Any] | None = None,
) -> None:
    """Saves a network; equal networks give equal bytes.

    Args:
        model: The network.
        folder: Replaced as a whole.
        classes: Class names without background.
        extra: More JSON values for `config.json`, under `extra`.

    Raises:
        UserError: If a weight is not a finite number: nothing is saved then.
    """
    require_finite(model)
    params = model.params.model_dump(mode="json")
    params["backbone"]["weights"] = "none"  # they are here; where they once came from is no matter
    config = SavedConfig(
        kind=model.kind,
        classes=list(classes),
        params=params,
        normalization={"mean": list(model.mean), "std": list(model.std)},
        extra=extra or {},
    )
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    with replace_dir(folder) as temporary:
        with replace_file(temporary / WEIGHTS) as file:
            file.write_bytes(save(state, metadata={"format": "pt"}))
        write_json(temporary / CONFIG, config.model_dump())


def require_finite(model: nn.Module) -> None:
    """Checks weights.

    Raises:
        UserError: If one is not a finite number.
    """
    named = [(k, v) for k, v in model.state_dict().items() if v.is_floating_point()]
    finite = torch.stack([value.isfinite().all() for _, value in named]) if named else None
    if finite is not None and not finite.all():
        name = named[int(finite.int().argmin())][0]
        raise UserError(
            f"the weights are no finite numbers any more ({name}), and were not saved; lower the "
            "learning rate or use bfloat16 or float32 precision."
        )


def read_config(folder: str | Path) -> SavedConfig:
    """What a folder says of the network in it.

    Raises:
        UserError: If it holds no saved network, or one that is described otherwise.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} is not a saved model: it has no {name}; name a folder that holds "
                f"{WEIGHTS} and {CONFIG}."
            )
    try:
        return SavedConfig.model_validate(read_json(folder / CONFIG))
    except ValidationError as error:
        raise _not_a_model(folder, error) from None


def load_model(
    folder: str | Path, network: type[N], device: str | torch.device = "cpu"
) -> LoadedModel[N]:
    """Loads what `save_model` saved; every tensor must find its place.

    Args:
        folder: With `model.safetensors` and `config.json`.
        network: The class that is wanted, `CAMNetwork` or `Segmenter`.
        device: Where the network goes.

    Raises:
        UserError: If a file is missing or damaged, the two do not fit each other, or the folder
            holds another network.
    """
    folder = Path(folder)
    config = read_config(folder)
    if config.kind != network.kind:
        raise UserError(
            f"{folder} holds a model of another kind; a {network.kind} is needed. "
            f"Got: {config.kind!r}"
        )
    try:
        params = network.params_class.model_validate(config.params)
    except ValidationError as error:
        raise _not_a_model(folder, error) from None
    check_classes(tuple(config.classes), where=str(folder / CONFIG))
    try:
        stored = _tensor_shapes(folder / WEIGHTS)
        _check_depth(folder, params, len(stored))
        outline = _outline(folder, network, params, len(config.classes))
        check_names(stored, outline.state_dict(), str(folder / WEIGHTS))
        model = network.from_params(params, len(config.classes), pretrained=False)
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{folder / WEIGHTS} is damaged; restore or remake it. Got: {error}"
        ) from None
    except (*_IMPOSSIBLE, MemoryError) as error:
        raise _not_a_model(folder, error) from None
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise UserError(
                f"{folder / WEIGHTS} has values that are not finite, the first in {name}; restore "
                "or remake it."
            )
    model.load_state_dict(state)
    return LoadedModel(model.to(device).eval(), config)


def _tensor_shapes(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, without their values."""
    with safe_open(path, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in sorted(file.keys())}
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _outline(folder: Path, network: type[N], params: Any, num_classes: int) -> N:
    """The network without memory for its values: sizes that do not fit are refused by it."""
    try:
        with torch.device("meta"):
            return network.from_params(params, num_classes, pretrained=False)
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from None


def _check_depth(folder: Path, params: Any, tensors: int) -> None:
    """Refuses more layers than there are tensors, which would be built for minutes."""
    for name, layers in (
        ("backbone.depth", params.backbone.depth),
        ("layers", getattr(params, "layers", None)),
    ):
        if layers is not None and layers > tensors:
            raise UserError(
                f"{folder / CONFIG}: params.{name} is {layers}, but {WEIGHTS} has {tensors} "
                "tensors; restore the file that was saved with them."
            )


def _not_a_model(folder: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{folder / CONFIG} does not describe a model of weaktr; save it again. Got: {reason}"
    )
