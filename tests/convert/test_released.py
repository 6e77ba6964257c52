"""Import of checkpoints with the released naming."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.golden_cases import load_case
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderParams
from weaktr.convert.released import import_checkpoint
from weaktr.convert.released_names import COCO_CATEGORIES
from weaktr.errors import UserError
from weaktr.models.any_network import load_any_model
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model
from weaktr.models.segmenter import Segmenter

VOC = tuple(f"voc {i}" for i in range(1, 21))
COCO = tuple(f"coco {i}" for i in COCO_CATEGORIES)
SIZES: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}
TO_PUBLISHED: dict[str, list[tuple[str, str]]] = {
    "cam": [
        ("fusion.head_ffn.", "adaptive_attention_fusion.attn_head_ffn."),
        ("fusion.feature_ffn.", "adaptive_attention_fusion.attn_feat_ffn."),
        ("backbone.", ""),
    ],
    "segmenter": [
        ("decoder.class_embedding", "decoder.cls_emb"),
        ("decoder.input_projection.", "decoder.proj_dec."),
        ("decoder.patch_projection", "decoder.proj_patch"),
        ("decoder.class_projection", "decoder.proj_classes"),
        ("decoder.norm.", "decoder.decoder_norm."),
    ],
}


def released(model: Any, kind: str) -> dict[str, Tensor]:
    """Our model's weights under the released names, written out here independently of the rules."""
    state = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in TO_PUBLISHED[kind]:
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
                break
        if kind == "segmenter" and model.encoder.blocks[0].attn.qkv.bias is None:
            name = name.replace("mlp.fc1", "mlp.w12")
            name = name.replace("mlp.fc2", "mlp.w3") if name.startswith("encoder.") else name
            name = name.replace("mlp.w12", "mlp.fc1") if name.startswith("decoder.") else name
        state[name] = tensor.clone()
    width = model.state_dict()[f"{'backbone' if kind == 'cam' else 'encoder'}.cls_token"].shape[-1]
    if kind == "cam":
        state |= {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    else:
        state |= {"encoder.head.weight": torch.zeros(1000, width)}
        state |= {"encoder.head.bias": torch.zeros(1000)}
    return state


def cam_network(classes: int, **changes: Any) -> CAMNetwork:
    torch.manual_seed(0)
    backbone = BackboneParams(name="deit_small_patch16_224", weights="none", **SIZES)
    params = CamParams(backbone=backbone, input_size=64, reduction=1, feat_reduction=4, **changes)
    return CAMNetwork.from_params(params, classes).eval()


def segmenter(labels: int, name: str = "vit_small_patch16_384", **sizes: Any) -> Segmenter:
    torch.manual_seed(0)
    backbone = BackboneParams(name=name, weights="none", **(sizes or SIZES))
    params = DecoderParams(backbone=backbone, crop_size=64, region=32)
    return Segmenter.from_params(params, labels - 1).eval()


def shake(model: torch.nn.Module) -> None:
    """Gives parameters that start as zeros or ones something to tell them apart by."""
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)


@pytest.mark.parametrize(
    ("name", "pool"),
    [("cam_square_max", "max"), ("cam_nonsquare_avg", "avg"), ("cam_square_resized_p8", "max")],
)
def test_golden_cam_checkpoint(name: str, pool: Any, tmp_path: Path) -> None:
    """Saved as released, imported, loaded: the outputs are the published ones."""
    case = load_case(name)
    classes = [f"class {i}" for i in range(case.hyper["num_classes"])]
    torch.save({"model": case.state, "epoch": 5, "miou": np.float64(69.4)}, tmp_path / "best.pth")
    imported = import_checkpoint(tmp_path / "best.pth", tmp_path / "m", classes=classes, pool=pool)
    assert imported.kind == "cam"
    assert imported.dropped.keys() == {"norm.weight", "norm.bias"}
    assert imported.dropped.keys() | imported.renamed.keys() == case.state.keys()
    loaded = load_model(tmp_path / "m", CAMNetwork)
    assert loaded.classes == tuple(classes)
    inputs = case.tensors["x"]
    maps = loaded.model.maps(inputs)
    logits = loaded.model(inputs)
    case.check("cls_token_pred", logits.class_token)
    case.check("coarse_cam_pred", logits.coarse)
    case.check("fine_cam_pred", logits.fine)
    case.check("aaf_weight", maps.head_weights)


@pytest.mark.parametrize("kind", ["cam", "segmenter"])
def test_voc_checkpoint_round_trip(kind: str, tmp_path: Path) -> None:
    model = cam_network(20) if kind == "cam" else segmenter(21)
    shake(model)
    state = {f"module.{name}": value for name, value in released(model, kind).items()}
    torch.save({"model": state, "epoch": 99}, tmp_path / "checkpoint.pth")
    backbone = BackboneParams(name="vit_small_patch16_384", num_heads=2)
    imported = import_checkpoint(
        tmp_path / "checkpoint.pth",
        tmp_path / "model",
        classes=VOC,
        backbone=None if kind == "cam" else backbone,
    )
    assert imported.kind == kind
    loaded = load_any_model(tmp_path / "model")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    x = torch.randn(2, 3, 64, 80)
    for ours, theirs in zip(flat(loaded.model(x)), flat(model(x)), strict=True):
        torch.testing.assert_close(ours, theirs)
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["extra"]["imported_from"]["name"] == "checkpoint.pth"
    assert str(tmp_path) not in (tmp_path / "model/config.json").read_text()


def flat(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)


def test_coco_cam_checkpoint_maps_90_places_to_80_classes(tmp_path: Path) -> None:
    """The ten unused class tokens go on taking part in attention: outputs are exactly the old."""
    model = cam_network(90)
    shake(model)
    torch.save({"model": released(model, "cam")}, tmp_path / "coco.pth")
    import_checkpoint(tmp_path / "coco.pth", tmp_path / "model", classes=COCO)
    loaded = load_model(tmp_path / "model", CAMNetwork).model
    places = [i - 1 for i in COCO_CATEGORIES]
    x = torch.randn(2, 3, 64, 80)
    for ours, theirs in zip(loaded(x), model(x), strict=True):
        assert ours.shape == (2, 80)
        torch.testing.assert_close(ours, theirs[:, places])
    ours, theirs = loaded.maps(x), model.maps(x)
    torch.testing.assert_close(ours.fused, theirs.fused[:, places])
    torch.testing.assert_close(ours.affinity, theirs.affinity)


def test_coco_decoder_checkpoint_maps_91_places_to_81_labels(tmp_path: Path) -> None:
    model = segmenter(91)
    shake(model)
    torch.save({"model": released(model, "segmenter")}, tmp_path / "coco.pth")
    backbone = BackboneParams(name="vit_small_patch16_384", num_heads=2)
    import_checkpoint(tmp_path / "coco.pth", tmp_path / "model", classes=COCO, backbone=backbone)
    loaded = load_any_model(tmp_path / "model").model
    x = torch.randn(2, 3, 50, 64)
    torch.testing.assert_close(loaded(x), model(x)[:, [0, *COCO_CATEGORIES]])


def test_coco_categories_are_the_80_of_90() -> None:
    assert len(COCO_CATEGORIES) == 80
    assert COCO_CATEGORIES[:12] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)
    assert COCO_CATEGORIES[-1] == 90


@pytest.mark.parametrize(
    ("published", "timm_name", "sizes"),
    [
        ("dinov2_small_patch16_224", "vit_small_patch14_dinov2", {"depth": 2}),
        ("eva02_tiny_patch16_224", "eva02_tiny_patch14_224", {"depth": 2}),
        ("vit_small_patch16_384", "vit_small_patch16_384", {"depth": 2}),
    ],
)
def test_variant_file_names_the_encoder(
    published: str, timm_name: str, sizes: dict[str, int], tmp_path: Path
) -> None:
    model = segmenter(21, timm_name, patch_size=16, **sizes)
    shake(model)
    state = released(model, "segmenter")
    if "eva02" in timm_name:
        tables = {"freqs_cos": torch.zeros(16, 64), "freqs_sin": torch.zeros(16, 64)}
        for name, table in tables.items():
            state |= {f"encoder.rope.{name}": table, f"encoder.blocks.1.attn.rope.{name}": table}
        assert "encoder.blocks.0.mlp.w12.weight" in state
    heads = model.encoder.num_heads
    (tmp_path / "variant.yml").write_text(
        f"net_kwargs:\n  backbone: {published}\n  n_heads: {heads}\n"
        "  image_size: !!python/tuple\n  - 480\n  - 480\n"
    )
    torch.save({"model": state}, tmp_path / "checkpoint.pth")
    imported = import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", classes=VOC)
    assert imported.params.backbone.name == timm_name
    native_patch = 16 if "384" in timm_name else 14
    assert imported.params.backbone.patch_size == (None if native_patch == 16 else 16)
    loaded = load_any_model(tmp_path / "model").model
    assert loaded.mean == model.mean
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded(x), model(x))


def broken(change: Callable[[dict[str, Tensor]], None]) -> dict[str, Tensor]:
    state = released(cam_network(20), "cam")
    change(state)
    return state


def rename(state: dict[str, Tensor], old: str, new: str) -> None:
    state[new] = state.pop(old)


REFUSED: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "unknown tensor": (
        lambda s: s.update({"extra.weight": torch.zeros(2)}),
        r"no rule knows what to do with extra.weight",
    ),
    "missing tensor": (lambda s: s.pop("blocks.1.norm2.bias"), r"missing: .*blocks.1.norm2.bias"),
    "missing head": (lambda s: s.pop("head.bias"), r"lacks head.bias"),
    "unexpected block tensor": (
        lambda s: s.update({"blocks.0.ls1.gamma": torch.ones(64)}),
        r"unexpected: backbone.blocks.0.ls1.gamma",
    ),
    "wrong shape": (
        lambda s: s.update({"blocks.0.attn.proj.weight": torch.zeros(3, 3)}),
        r"of another shape: backbone.blocks.0.attn.proj.weight",
    ),
    "positions without a grid": (
        lambda s: s.update({"pos_embed": torch.zeros(1, 20 + 15, 64)}),
        r"square grid",
    ),
    "other classes": (
        lambda s: s.update({"head.bias": torch.zeros(21)}),
        r"has 21 classes, but 20 class names",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    torch.save({"model": broken(change)}, tmp_path / "checkpoint.pth")
    with pytest.raises(UserError, match=message):
        import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", classes=VOC)
    assert not (tmp_path / "model").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"model": {"conv.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"neither of a CAM checkpoint .* Got: conv"):
        import_checkpoint(tmp_path / "other.pth", tmp_path / "model", classes=VOC)
    with pytest.raises(UserError, match="does not exist"):
        import_checkpoint(tmp_path / "none.pth", tmp_path / "model", classes=VOC)
    for text in ("not weights", "abc"):
        (tmp_path / "text.pth").write_text(text)
        with pytest.raises(UserError, match="cannot be read as weights"):
            import_checkpoint(tmp_path / "text.pth", tmp_path / "model", classes=VOC)


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code in a checkpoint was run",))


def test_code_in_a_checkpoint_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": {}, "harm": _Harm()}, tmp_path / "harm.pth")
    with pytest.raises(UserError, match="cannot be read as weights"):
        import_checkpoint(tmp_path / "harm.pth", tmp_path / "model", classes=VOC)
    assert capsys.readouterr().out == ""


def test_encoder_must_be_named(tmp_path: Path) -> None:
    torch.save({"model": released(segmenter(21), "segmenter")}, tmp_path / "checkpoint.pth")
    with pytest.raises(UserError, match=r"no variant.yml beside it; name the timm model"):
        import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", classes=VOC)
    with pytest.raises(UserError, match="give its number of heads"):
        import_checkpoint(
            tmp_path / "checkpoint.pth",
            tmp_path / "model",
            classes=VOC,
            backbone=BackboneParams(name="vit_small_patch16_384"),
        )
    for values in ("{}", "{backbone: vit, n_heads: two}", "{backbone: [vit], n_heads: 2}"):
        (tmp_path / "variant.yml").write_text(f"net_kwargs: {values}\n")
        with pytest.raises(UserError, match="has no net_kwargs with backbone and n_heads"):
            import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", classes=VOC)


def test_scores_written_with_numpy_1_are_read(tmp_path: Path) -> None:
    """`checkpoint_best_mIoU.pth` holds its mIoU as a numpy number, pickled by numpy 1."""
    new, old = tmp_path / "new.pth", tmp_path / "old.pth"
    model = cam_network(20)
    torch.save({"model": released(model, "cam"), "miou": np.float64(69.4)}, new)
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            target.writestr(item, content)
    import_checkpoint(old, tmp_path / "model", classes=VOC)
    loaded = load_model(tmp_path / "model", CAMNetwork).model
    assert torch.equal(loaded.head.weight, model.head.weight)
