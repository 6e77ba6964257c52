"""Samples out of the loaders of both trainers, beside plain pipelines and what a step consumes."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks import cam_step, decoder_step
from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Part
from benchmarks.measure import Step
from benchmarks.photograph import write_scenes
from oracles.plain_loading import TimmSamples, TorchvisionSamples
from weaktr.config.cam import CamAugmentParams
from weaktr.config.decoder import DecoderAugmentParams
from weaktr.data.manifest import Manifest
from weaktr.training.cam_transform import cam_training_transform
from weaktr.training.decoder_transform import SegmentationTransform
from weaktr.training.loading import training_loader
from weaktr.training.mask_dataset import MaskDataset
from weaktr.training.sampling import EpochSampler
from weaktr.training.tag_dataset import TagDataset

IMAGES, HEIGHT, WIDTH = 48, 375, 500
BATCH = 8
SIDE = 224
WORKERS = (0, 1, 2)
POLICY = "rand-m9-mstd0.5"
"""timm's own pipeline fails with the default's `-inc1`: Pillow refuses to keep no bit."""
STEP = "training step"
DECODING = "JPEG decoding alone"
GREY = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
Samples = Dataset[tuple[Tensor, Tensor]]


def cases(device: torch.device) -> Iterator[Case]:
    """For each trainer one with the loader in this process, and one for each number of workers."""
    for trainer, build in (("CAM 224", _cam), ("decoder 480", _decoder)):
        for workers in WORKERS:
            yield Case(
                family="loader, a sample",
                name=f"{trainer}, workers: {workers}",
                seconds=15 if workers else 20,
                build=partial(_race, trainer, build, workers),
            )


def _cam(manifest: Manifest, device: torch.device) -> tuple[Samples, Samples, str, Step, int]:
    """Our samples, plain ones, their name, a training step and its samples."""
    params = CamAugmentParams(auto_augment=POLICY)
    transform = cam_training_transform(params, input_size=SIDE, mean=GREY[0], std=GREY[1])
    images = [record.image for record in manifest.records]
    plain = TimmSamples(images, torch.from_numpy(manifest.targets()), params, SIDE)
    batch = dict(cam_step.SETTINGS.get(device.type, cam_step.SETTINGS["cpu"]))[SIDE]
    step = cam_step.make_steps(SIDE, batch, device)("ours", "float32")
    return TagDataset(manifest, transform, seed=0), plain, "plain timm pipeline", step, batch


def _decoder(manifest: Manifest, device: torch.device) -> tuple[Samples, Samples, str, Step, int]:
    """The same of the decoder."""
    params, crop = DecoderAugmentParams(), decoder_step.CROP
    transform = SegmentationTransform(params, crop_size=crop, mean=GREY[0], std=GREY[1])
    images = [record.image for record in manifest.records]
    masks = {r.id: str(Path(r.image).with_suffix(".png")) for r in manifest.records}
    plain = TorchvisionSamples(images, list(masks.values()), params, crop)
    batch = decoder_step.BATCH.get(device.type, decoder_step.BATCH["cpu"])
    step = decoder_step.make_steps(batch, device)("ours", "float32")
    ours = MaskDataset(manifest, masks, transform, seed=0)
    return ours, plain, "plain torchvision pipeline", step, batch


def _race(
    trainer: str,
    build: Callable[[Manifest, torch.device], tuple[Samples, Samples, str, Step, int]],
    workers: int,
    device: torch.device,
    stack: ExitStack,
) -> Race:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    manifest = write_scenes(folder, IMAGES, HEIGHT, WIDTH)
    ours, plain, name, step, batch = build(manifest, device)
    sampler = EpochSampler(IMAGES, seed=0)
    pin = device.type == "cuda"
    loader = training_loader(ours, sampler, batch_size=BATCH, workers=workers, pin_memory=pin)
    others: DataLoader[Any] = DataLoader(
        plain,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin,
    )

    steps: dict[str, Step] = {
        "ours": partial(_exhaust, loader),
        name: partial(_exhaust, others),
    }
    per = {"ours": IMAGES, name: IMAGES, DECODING: IMAGES, STEP: batch}
    setting = f"{trainer}, workers: {workers}"
    lines = [Line(setting=setting, against=name)]
    if not workers:
        steps[DECODING] = partial(_decode, manifest)
        steps[STEP] = step
        limit = Part(DECODING)
        lines = [Line(setting=setting, against=a, limit=limit) for a in (name, STEP)]
    return Race(steps=steps, lines=lines, per=per, memory=None)


def _exhaust(loader: DataLoader[Any]) -> None:
    """An epoch."""
    for _ in loader:
        pass


def _decode(manifest: Manifest) -> None:
    for record in manifest.records:
        Image.open(record.image).convert("RGB")
