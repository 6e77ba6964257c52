"""Import of checkpoints in the published naming (hustvl/WeakTr) into our model folders.

Every tensor of a checkpoint is renamed by one of `weaktr.convert.released_names.RULES`, dropped by
one, or refused by name; every tensor of our model must then be there in the right shape. Sizes are
read off the tensors. The two things that they do not tell, and that WeakTr's `variant.yml` has
beside a decoder checkpoint, are the number of attention heads and which backbone it is (DeiT and
AugReg ViTs have equal shapes and different normalisation).
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import yaml

from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderParams
from weaktr.convert.released_names import (
    COCO_CATEGORIES,
    COCO_WIDTH,
    PUBLISHED_BACKBONES,
    Kind,
    State,
    coco_classes_first,
    convert_state,
)
from weaktr.errors import UserError
from weaktr.files import digest_files
from weaktr.models.any_network import NETWORKS
from weaktr.models.pretrained import check_names, create_vit, read_tensors
from weaktr.models.saving import CONFIG, WEIGHTS, save_model


class Imported(NamedTuple):
    """What an import did."""

    kind: Kind
    params: CamParams | DecoderParams
    renamed: dict[str, str]
    dropped: dict[str, str]
    """Name and reason."""


def import_checkpoint(
    path: str | Path,
    folder: str | Path,
    *,
    classes: Sequence[str],
    kind: Literal["auto", "cam", "segmenter"] = "auto",
    backbone: BackboneParams | None = None,
    pool: Literal["max", "avg"] = "max",
    decoder_heads: int | None = None,
) -> Imported:
    """Turns a checkpoint in the published naming into a model folder.

    Weights with 90 classes are taken for COCO's category ids when 80 classes are named: those move
    to the front, in order, and the ten places that no category uses are kept as spares, since they
    take part in attention. Outputs are then exactly the checkpoint's own.

    Args:
        path: `.pth` (loaded with `weights_only`) or `.safetensors`.
        folder: Made, or, where it holds a model and nothing else, replaced.
        classes: Class names without background, in the order of the checkpoint.
        kind: What the checkpoint is; `auto` tells it by its tensors' names.
        backbone: The timm model, and its heads if they are not the model's own. `None`: from
            `variant.yml` beside a decoder checkpoint; `deit_small_patch16_224` for a CAM network.
        pool: Pooling of the CAM network's fusion, which leaves no trace in the weights.
        decoder_heads: Attention heads of the mask transformer; `None`: one per 64 channels.

    Raises:
        UserError: If the file cannot be read, is no such checkpoint, or does not fit, or if the
            folder holds other files.
    """
    path, folder = Path(path), Path(folder)
    _refuse_losses(folder)
    published = _read(path)
    kind = _kind_of(published, path) if kind == "auto" else kind
    state, renamed, dropped = convert_state(published, kind, str(path))
    if backbone is None:
        backbone = _default_backbone(kind, path)
    if kind == "cam":
        params: CamParams | DecoderParams = _cam_params(state, backbone, classes, pool, path)
    else:
        params = _decoder_params(state, backbone, classes, decoder_heads, path)
    if params.spare_classes:
        state = coco_classes_first(state, background=kind == "segmenter")
    model = NETWORKS[kind].from_params(params, len(classes), pretrained=False)
    check_names(state, model.state_dict(), str(path))
    model.load_state_dict(state)
    source = {"name": path.name, "digest": digest_files([path])}
    save_model(model, folder, classes=classes, extra={"imported_from": source})
    return Imported(kind, params, renamed, dropped)


def _refuse_losses(folder: Path) -> None:
    """A folder is replaced as a whole, so it may hold nothing but a model."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder for the model.")
    others = sorted(path.name for path in folder.iterdir() if path.name not in (WEIGHTS, CONFIG))
    if others:
        raise UserError(
            f"{folder} holds other files, which would be lost; name a new folder for the model. "
            f"Got: {', '.join(others[:5])}"
        )


def _read(path: Path) -> State:
    """Tensors of a checkpoint. Beside them, released files hold scores as numpy numbers."""
    scalar = np.float64(0).__reduce__()[0]
    allowed: list[Any] = [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),  # written with numpy 1
        np.dtype,
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
    ]
    with torch.serialization.safe_globals(allowed):
        return read_tensors(path)


def _kind_of(published: State, path: Path) -> Kind:
    names = {name.removeprefix("module.").split(".")[0] for name in published}
    if "adaptive_attention_fusion" in names:
        return "cam"
    if {"encoder", "decoder"} <= names:
        return "segmenter"
    raise UserError(
        f"{path} is in the published naming neither of a CAM checkpoint "
        "(adaptive_attention_fusion.*) nor of a decoder checkpoint (encoder.*, decoder.*). "
        f"Got: {', '.join(sorted(names)[:8])}"
    )


class _VariantLoader(yaml.SafeLoader):
    """Safe YAML that reads Python's tuples, which the published code writes, as lists."""


def _sequence(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_VariantLoader.add_constructor("tag:yaml.org,2002:python/tuple", _sequence)


def _default_backbone(kind: Kind, path: Path) -> BackboneParams:
    """The published CAM backbone, or the encoder that `variant.yml` names."""
    if kind == "cam":
        return BackboneParams(weights="none")
    variant = path.with_name("variant.yml")
    if not variant.is_file():
        raise UserError(
            f"{path} does not say which backbone its encoder is, and there is no {variant.name} "
            "beside it; name the timm model, for instance vit_small_patch16_384."
        )
    try:
        network = yaml.load(variant.read_text(encoding="utf-8"), _VariantLoader)["net_kwargs"]
        name, heads = network["backbone"], network["n_heads"]
        name = PUBLISHED_BACKBONES.get(name, name)
        return BackboneParams(name=name, weights="none", num_heads=heads)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{variant} has no net_kwargs with backbone and n_heads; name the timm model instead. "
            f"Got: {type(error).__name__}"
        ) from None


def _cam_params(
    state: State,
    backbone: BackboneParams,
    classes: Sequence[str],
    pool: Literal["max", "avg"],
    path: Path,
) -> CamParams:
    """The `cam` section that a checkpoint's shapes describe."""
    _require(state, ("backbone.cls_token", "head.bias", "fusion.head_ffn.0.weight"), path)
    width = state["head.bias"].shape[0]
    spares = _spares(width, len(classes), path)
    hidden, channels = state["fusion.head_ffn.0.weight"].shape
    narrow, features = state["fusion.feature_ffn.0.weight"].shape
    heads = state["backbone.cls_token"].shape[-1] // features
    backbone = backbone.model_copy(update={"num_heads": heads})
    backbone, side = _measured_backbone(state, "backbone.", backbone, width, path)
    return CamParams(
        backbone=backbone,
        input_size=side,
        spare_classes=spares,
        reduction=_reduction(channels, hidden),
        feat_reduction=_reduction(features, narrow),
        pool=pool,
    )


def _decoder_params(
    state: State,
    backbone: BackboneParams,
    classes: Sequence[str],
    decoder_heads: int | None,
    path: Path,
) -> DecoderParams:
    """The `decoder` section that a checkpoint's shapes describe."""
    embedding, hidden = "decoder.class_embedding", "decoder.blocks.0.mlp.fc1.weight"
    _require(state, (embedding, hidden), path)
    _, width, channels = state[embedding].shape
    spares = _spares(width - 1, len(classes), path)
    prefix = 1 if "encoder.cls_token" in state else 0
    backbone, side = _measured_backbone(state, "encoder.", backbone, prefix, path)
    return DecoderParams(
        backbone=backbone,
        crop_size=side,
        region=min(DecoderParams().region, side),
        layers=_depth(state, "decoder."),
        heads=decoder_heads,
        mlp_ratio=state[hidden].shape[0] / channels,
        spare_classes=spares,
    )


def _measured_backbone(
    state: State, prefix: str, backbone: BackboneParams, prefix_positions: int, path: Path
) -> tuple[BackboneParams, int]:
    """A backbone with the sizes of a checkpoint, and the side in pixels of its position grid."""
    kernel, hidden = f"{prefix}patch_embed.proj.weight", f"{prefix}blocks.0.mlp.fc1.weight"
    positions = f"{prefix}pos_embed"
    _require(state, (kernel, hidden, positions), path)
    embed_dim, _, patch, _ = state[kernel].shape
    count = state[positions].shape[1] - prefix_positions
    grid = math.isqrt(max(0, count))
    if grid == 0 or grid * grid != count:
        raise UserError(
            f"{path}: {positions} must hold a square grid of positions after {prefix_positions} "
            f"of class tokens. Got: {tuple(state[positions].shape)}"
        )
    own = create_vit(backbone.name, pretrained=False, section="backbone")
    heads = backbone.num_heads
    if heads is None and embed_dim != own.embed_dim:
        raise UserError(
            f"{path} has an encoder of width {embed_dim}, {backbone.name} one of {own.embed_dim}; "
            "name the backbone that it is, or give its number of heads."
        )
    sizes = {
        "patch_size": (patch, own.patch_embed.proj.kernel_size[0]),
        "embed_dim": (embed_dim, own.embed_dim),
        "depth": (_depth(state, prefix), len(own.blocks)),
        "num_heads": (heads, own.blocks[0].attn.num_heads),
        "mlp_ratio": (
            state[hidden].shape[0] / embed_dim,
            own.blocks[0].mlp.fc1.out_features / own.embed_dim,
        ),
    }
    # A size of the timm model's own stays unsaid.
    changed = {key: None if here == there else here for key, (here, there) in sizes.items()}
    return backbone.model_copy(update=changed | {"weights": "none"}), grid * patch


def _require(state: State, names: Sequence[str], path: Path) -> None:
    missing = [name for name in names if name not in state]
    if missing:
        raise UserError(f"{path} is incomplete; it lacks {', '.join(missing)} (in our naming).")


def _depth(state: State, prefix: str) -> int:
    """Number of transformer blocks under a prefix."""
    pattern = re.compile(re.escape(prefix) + r"blocks\.(\d+)\.")
    return 1 + max(int(match[1]) for match in map(pattern.match, state) if match)


def _reduction(channels: int, hidden: int) -> int:
    """The smallest whole reduction r with int(channels / r) == hidden, as the fusion uses it."""
    return next(
        (r for r in range(1, channels + 1) if int(channels / r) == hidden), channels // hidden
    )


def _spares(width: int, count: int, path: Path) -> int:
    """Places of a checkpoint beyond the classes named."""
    if width == count:
        return 0
    if (width, count) == (COCO_WIDTH, len(COCO_CATEGORIES)):
        return width - count
    raise UserError(
        f"{path} has {width} classes, but {count} class names were given; give a name for each "
        f"(or the {len(COCO_CATEGORIES)} COCO classes for a checkpoint with {COCO_WIDTH})."
    )
