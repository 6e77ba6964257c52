"""CAM export, two scales with flips, disk to disk: against one input at a time, at full size."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Flops, count_flops
from benchmarks.measure import Step
from benchmarks.photograph import CLASSES, write_scenes
from oracles.attention_stack import stacked_maps
from oracles.labels import cam_to_label
from oracles.labels import multi_scale_cams as oracle_cams
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.crf import CrfParams
from weaktr.config.labels import LabelParams
from weaktr.config.values import Precision
from weaktr.data.manifest import Manifest
from weaktr.journal import ImageJournal
from weaktr.models.cam_network import CAMNetwork
from weaktr.pseudo_labels.export import export_labels
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams, scaled_input

HEIGHT, WIDTH = 375, 500
IMAGES = {"cpu": 2, "cuda": 16}
"""So many that reading and writing go on beside the network."""
PARAMS = LabelParams(crf=CrfParams(backend="none"))
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PUBLISHED = "one input at a time, all maps"


def cases(device: torch.device) -> Iterator[Case]:
    """One: with files at both ends, and CAMs alone."""
    yield Case(
        family="CAM export, an image",
        name=f"DeiT-S, {WIDTH}x{HEIGHT}",
        seconds=80,
        build=_build,
    )


def _build(device: torch.device, stack: ExitStack) -> Race:
    torch.manual_seed(0)
    backbone = BackboneParams(name="deit_small_patch16_224", weights="none")
    model = CAMNetwork.from_params(CamParams(backbone=backbone, drop_path=0.0), len(CLASSES))
    model = model.to(device).eval()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    count = IMAGES.get(device.type, IMAGES["cpu"])
    manifest = write_scenes(folder, count, HEIGHT, WIDTH)
    images = [np.array(Image.open(record.image)) for record in manifest.records]
    present = [_present(manifest, i) for i in range(count)]
    work = count * _network_flops(model, images[0])
    sizes: dict[str, int] = {}

    def ours(precision: Precision) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as new:  # what is done is not made again
            cams = ImageJournal(Path(new) / "cams", ".safetensors")
            labels = ImageJournal(Path(new) / "labels", ".png")
            export_labels(
                model,
                manifest,
                {},
                PARAMS.model_copy(update={"precision": precision}),
                cams=cams,
                labels=labels,
                threads=torch.get_num_threads(),
            )
            sizes["ours"] = cams.path(manifest.records[0].id).stat().st_size

    def cams_alone() -> None:
        multi_scale_cams(model, images, present, scales=PARAMS.scales)

    def stored() -> list[str]:
        small, large = sizes["ours"], (folder / "000.npy").stat().st_size
        return [f"Stored per image: {small} bytes, as published {large} (1/{large / small:.0f})."]

    setting = f"{WIDTH}x{HEIGHT}, {len(PARAMS.scales)} scales, flips"
    alone = f"{setting}, float32, CAMs alone"
    steps: dict[str, Step] = {
        PUBLISHED: partial(_published, model, manifest, present, folder),
        alone: cams_alone,
    }
    lines = [Line(setting=alone, ours=alone, against=PUBLISHED, limit=Flops(work))]
    for precision in PRECISIONS:
        name = f"{setting}, {precision}, disk to disk"
        steps[name] = partial(ours, precision)
        lines.append(Line(setting=name, ours=name, against=PUBLISHED, limit=Flops(work, precision)))
    return Race(
        steps=steps,
        lines=lines,
        per=dict.fromkeys(steps, count),
        memory="process",
        notes=stored,
    )


def _present(manifest: Manifest, index: int) -> list[int]:
    return [CLASSES.index(tag) for tag in manifest.records[index].tags]


def _network_flops(model: CAMNetwork, image: np.ndarray) -> float:
    """Of the plain forward passes of one image, without the fusion."""
    device = next(model.parameters()).device
    total = 0.0
    for scale in PARAMS.scales:
        x = scaled_input(model, image, scale)[None].to(device)
        with torch.inference_mode():
            total += 2 * count_flops(partial(model.backbone, x))  # and its mirror image
    return total


def _published(
    model: CAMNetwork, manifest: Manifest, present: list[list[int]], folder: Path
) -> None:
    """Reads, exports and labels one image after the other."""
    for record, classes in zip(manifest.records, present, strict=True):
        image = np.array(Image.open(record.image).convert("RGB"))
        full = published_cams(model, image, classes)
        np.save(folder / f"{record.id}.npy", np.array(full, dtype=object), allow_pickle=True)
        cams = torch.from_numpy(np.stack(list(full.values())))
        label = cam_to_label(cams, classes, float(PARAMS.background_score))
        Image.fromarray(label.to(torch.uint8).numpy()).save(folder / f"{record.id}.label.png")


@torch.inference_mode()
def published_cams(
    model: CAMNetwork, image: np.ndarray, classes: list[int]
) -> dict[int, np.ndarray]:
    """CAMs at full size, one network input at a time, with a product of its own for each class."""
    device = next(model.parameters()).device
    grids, flips = [], []
    for scale in PARAMS.scales:
        for flip in (False, True):
            x = scaled_input(model, image, scale)[None].to(device)
            maps = stacked_maps(model, x.flip(-1) if flip else x)
            cam = maps.cross.view_as(maps.coarse) * maps.coarse.relu()
            refined = maps.affinity[:, None] @ cam.flatten(2)[..., None]  # [1, C, P, 1]
            grids.append(refined.view_as(cam)[0].cpu())
            flips.append(flip)
    full = oracle_cams(grids, flips, (image.shape[0], image.shape[1]))
    return {c: full[c].numpy() for c in classes}
