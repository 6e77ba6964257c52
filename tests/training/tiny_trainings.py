"""Steps of both trainings on random batches, on any device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.values import Precision
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.segmenter import Segmenter
from weaktr.precision import autocast, float32_products
from weaktr.training.cam_optimization import cam_optimizer, cam_schedule
from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy
from weaktr.training.decoder_optimization import decoder_optimizer, decoder_schedule
from weaktr.training.fusion_watch import FusionWatch
from weaktr.training.loading import Batch
from weaktr.training.loss_watch import LossWatch
from weaktr.training.schedules import Schedule
from weaktr.training.steps import Losses, train_epoch
from weaktr.training.tag_losses import cam_losses

CLASSES, SIDE, STEPS = 3, 32, 4
VIT = BackboneParams(
    name="vit_tiny_patch16_224", weights="none", patch_size=8, embed_dim=24, depth=2, num_heads=2
)
Training = tuple[nn.Module, torch.optim.Optimizer, Schedule, Callable[[Any, Tensor], Losses], Batch]


def cam_training(device: str) -> Training:
    """The CAM network with its optimiser, rates, losses, and a batch."""
    params = CamParams(backbone=VIT, input_size=SIDE, reduction=2, feat_reduction=2)
    model = CAMNetwork.from_params(params, CLASSES).to(device)

    watch = FusionWatch(model.fusion)

    def loss(logits: Any, tags: Tensor) -> Losses:
        return {**cam_losses(logits, tags).named(), **watch.weights()}

    images, tags = torch.randn(2, 3, SIDE, SIDE), torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    batch = images.to(device), tags.to(device)
    return model, cam_optimizer(model, params), cam_schedule(params, STEPS), loss, batch


def decoder_training(device: str) -> Training:
    """The segmenter with its optimiser, rates, clipped loss, and a batch with void pixels."""
    params = DecoderParams(backbone=VIT, crop_size=SIDE, layers=1, region=8)
    model = Segmenter.from_params(params, CLASSES).to(device)
    loss = ClippedCrossEntropy(start_value=9.0, region=8).with_shares
    images, target = torch.randn(2, 3, SIDE, SIDE), torch.randint(0, CLASSES + 1, (2, SIDE, SIDE))
    target[:, :4] = 255
    batch = images.to(device), target.to(device)
    return model, decoder_optimizer(model, params), decoder_schedule(params, STEPS), loss, batch


def take_steps(
    training: Training, precision: Precision, count: int, before_step: Callable[[int], None]
) -> None:
    """Takes steps, numbered from 1, none of which looks at what the device found."""
    model, optimizer, rates, loss, batch = training
    device = batch[0].device
    model.train()
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")

    def batch_loss(batch: Batch) -> Losses:
        with autocast(precision, device):
            output = model(batch[0])
        return loss(output, batch[1])

    @contextmanager
    def whole_step(step: int) -> Iterator[None]:
        before_step(step)
        yield

    facts = FusionWatch(model.fusion).gradient if isinstance(model, CAMNetwork) else dict
    with float32_products(precision, device):
        train_epoch(
            [batch] * count,
            batch_loss,
            optimizer,
            rates,
            steps=range(1, count + 1),
            accumulate=1,
            sums={},
            watch=LossWatch(every=count + 1, describe=str, scaler=scaler),
            scaler=scaler,
            whole_step=whole_step,
            gradient_facts=facts,
        )
