"""Pretrained weights for a timm ViT: from the hub by name, or strictly from a local file."""

import difflib
import math
import zipfile
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from timm.models import eva, vision_transformer
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from weaktr.errors import UserError
from weaktr.models.hub import require_hub, weights_url

# timm's modules that hold plain ViTs.
MODULES = ("deit", "vision_transformer", "eva")
# Parts of classifiers and of pre-training that files carry and a backbone has no place for.
UNUSED = ("head.", "head_dist.", "fc_norm.", "attn_pool.", "lm_head.", "mask_token", "pre_logits.")
# Parts of the timm model that the backbone drops, so that a file may lack them.
DROPPED = ("attn_pool.",)
WRAPPERS = ("model", "state_dict", "model_ema")


def create_vit(name: str, *, pretrained: bool, section: str, **arguments: Any) -> Any:
    """Creates a timm model, with the hub's weights if asked.

    Args:
        name: timm's name, with or without the tag of its weights.
        pretrained: Fetch the weights (from the hub or its local cache) and load them strictly.
        section: Params section to name in messages, such as `cam.backbone`.
        **arguments: Passed on to `timm.create_model`.

    Raises:
        UserError: If there is no such model, its sizes are impossible, or its weights cannot be
            had.
    """
    plain = [model for module in MODULES for model in timm.list_models(module=module)]
    if name.split(".")[0] not in plain:
        close = difflib.get_close_matches(name.split(".")[0], plain, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else "."
        raise UserError(
            f"{section}.name must be a plain ViT of timm, such as deit_small_patch16_224{hint} "
            f"Got: {name!r}"
        )
    try:
        if not pretrained:
            return timm.create_model(name, num_classes=0, **arguments)
    except (AssertionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{section} describes a {name} that cannot be built; check its sizes. "
            f"Got: {error or arguments}"
        ) from None
    require_hub({section: name})
    try:
        # With its own classifier, as timm checks the other names only then.
        return timm.create_model(name, pretrained=True, **arguments)
    except Exception as error:  # the hub's clients raise many kinds, and the mend is the same
        raise UserError(_unreachable(name, section, error)) from None


def _unreachable(name: str, section: str, error: Exception) -> str:
    """The sentence that says which file to fetch and where to name it."""
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        return (
            f"timm has no pretrained weights for {name}; set {section}.weights to none or to a "
            f"local file, or choose another model."
        )
    file = weights_url(name) if cfg.hf_hub_id else str(cfg.url)
    reason = " ".join(str(error).split())
    return (
        f"The pretrained weights of {name} could not be fetched; download {file} where there is "
        f"a network, put it into data/pretrained and set {section}.weights to its path. "
        f"Got: {type(error).__name__}: {reason}"
    )


def load_local(vit: Any, path: str | Path, *, section: str) -> None:
    """Loads a file into a timm ViT; every tensor must find its place.

    timm's own conversion of foreign layouts applies (DINOv2, DINOv3, OpenAI CLIP, big_vision, ...),
    and so does its resampling of the patch kernel to the model's. Positions keep the file's grid.

    Args:
        vit: `VisionTransformer` or `Eva`, changed in place.
        path: `.safetensors`, `.pth`, `.pt`, `.bin` (loaded with `weights_only`; the weights may
            lie under `model` or `state_dict`) or `.npz` (JAX ViTs).
        section: Params section to name in messages.

    Raises:
        UserError: If the file cannot be read, or a tensor is missing, unexpected or of another
            shape; `UNUSED` lists what may lie idle in a file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{section}.weights must be hub, none or an existing file. Got: {path}")
    if path.suffix == ".npz":
        _load_npz(vit, path, section)
        return
    convert = eva.checkpoint_filter_fn if isinstance(vit, Eva) else _convert_vit
    state = read_tensors(path)
    _adopt_grid(vit, state)
    try:
        state = convert(state, vit)
    except (KeyError, RuntimeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{section}.weights: the weights in {path} are not of this kind of ViT. Got: {error}"
        ) from None
    own = vit.state_dict()
    if "fc_norm.weight" in own and "fc_norm.weight" not in state and "norm.weight" in state:
        for part in ("weight", "bias"):  # the same final norm, before or after pooling
            state[f"fc_norm.{part}"] = state.pop(f"norm.{part}")
    place = f"{section}.weights: {path}"
    state = {key: value for key, value in state.items() if key in own or not key.startswith(UNUSED)}
    check_names(state, own, place, may_lack=DROPPED)
    vit.load_state_dict(state, strict=False)


def _convert_vit(state: dict[str, Tensor], vit: VisionTransformer) -> dict[str, Tensor]:
    # DeiT III keeps its layer scale as gamma_1; the others have no such names.
    return vision_transformer.checkpoint_filter_fn(state, vit, adapt_layer_scale=True)


def _adopt_grid(vit: Any, state: dict[str, Tensor]) -> None:
    """Gives the model the grid of a file's positions, so that they are not resampled twice."""
    positions = state.get("pos_embed")
    if vit.pos_embed is None or positions is None or positions.ndim != 3:
        return
    h, w = vit.patch_embed.grid_size
    side = math.isqrt(max(0, positions.shape[1] - (vit.pos_embed.shape[1] - h * w)))
    if side**2 + vit.pos_embed.shape[1] - h * w == positions.shape[1] and side > 0:
        vit.set_input_size(tuple(side * patch for patch in vit.patch_embed.patch_size))


def _load_npz(vit: Any, path: Path, section: str) -> None:
    if not isinstance(vit, VisionTransformer):
        raise UserError(
            f"{section}.weights: .npz files hold JAX ViTs, and this backbone is not one; "
            f"use .safetensors or .pth. Got: {path}"
        )
    try:
        vit.load_pretrained(str(path))
    except (KeyError, RuntimeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{section}.weights: {path} does not hold the weights of this ViT. Got: {error}"
        ) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or PyTorch file, without a wrapper such as `model`.

    Raises:
        UserError: If the file is not of these kinds, is damaged, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path.") from None
    except Exception as error:  # Unpickling a file that is no pickle raises anything.
        reason = " ".join(str(error).split()).split(". ")[0][:200]
        raise UserError(
            f"{path} cannot be read as weights (.safetensors, or .pth/.bin holding tensors only); "
            f"check that the download is complete. Got: {type(error).__name__}: {reason}"
        ) from None
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a dictionary of tensors. Got: {type(content).__name__}")
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) < len(content):
        odd = sorted(str(key) for key in content if key not in tensors)
        raise UserError(f"{path} must hold tensors only. Got: {', '.join(odd[:5])}")
    return tensors


def check_names(
    state: dict[str, Tensor],
    own: dict[str, Tensor],
    place: str,
    *,
    may_lack: tuple[str, ...] = (),
) -> None:
    """Refuses, by name, tensors that are missing, unexpected or of another shape.

    Args:
        state: Tensors to load.
        own: The model's `state_dict()`.
        place: Where the tensors are from, for the message.
        may_lack: Prefixes of tensors of the model that may be missing.
    """
    missing = [key for key in own if key not in state and not key.startswith(may_lack or ("\0",))]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}"
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    problems = [
        f"{what}: {', '.join(names[:5])}" + (f" and {len(names) - 5} more" * (len(names) > 5))
        for what, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if names
    ]
    if problems:
        raise UserError(f"{place} does not fit the model; tensors {'; '.join(problems)}.")
