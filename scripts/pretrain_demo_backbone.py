"""Pretrains the demo's small ViT on generated images, without masks and without the demo's classes.

The published method starts from an ImageNet-pretrained ViT. This script makes the demo's stand-in.
Two kinds of images are drawn: one creature over clutter, with its tag, and crowds of two or three
without a tag. Creatures wear pairs of hues and head patterns that the demo never uses. Two losses
are trained in one pass over partly masked images: the tag from the class token, and every patch's
colours from its own token. No mask of an object is read.

    python scripts/pretrain_demo_backbone.py data/pretrained/shapes-vit.safetensors
"""

import argparse
import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from timm.layers import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from weaktr.data.demo.drawing import TEXTURES
from weaktr.data.demo.patterns import pretraining_patterns
from weaktr.data.demo.scenes import Coat, SceneStyle, draw_scene

PATCH, CROP, SIDE = 8, 64, 72
HUES = tuple((2 * k + 1) / 16 for k in range(8))
PAIRS = tuple(combinations(HUES, 2))
CHUNK = 500


def draw_chunk(start: int, seed: int, crowd: bool) -> NDArray[np.uint8]:
    """Images `start` to `start + CHUNK`, `[CHUNK, SIDE, SIDE, 3]`.

    Without `crowd`, image i holds one creature that wears pair i mod 28; with it, two or three.
    """
    patterns = pretraining_patterns(24, seed=0)
    images = np.empty((CHUNK, SIDE, SIDE, 3), np.uint8)
    for row in range(CHUNK):
        index = start + row
        rng = np.random.default_rng((seed, int(crowd), index))
        style = SceneStyle(
            side=SIDE,
            body_radius=(11.0, 18.0) if crowd else (13.0, 23.0),
            clutter=int(rng.integers(0, 5)),
            decoys=int(rng.integers(0, 3)),
        )
        tags = rng.integers(len(PAIRS), size=rng.integers(2, 4)) if crowd else [index % len(PAIRS)]
        coats = []
        for tag in tags:
            first, second = rng.permutation(PAIRS[tag])
            pattern = patterns[int(rng.integers(len(patterns)))]
            coats.append(Coat(0, pattern, str(rng.choice(TEXTURES)), (float(first), float(second))))
        images[row] = draw_scene(rng, style, coats).image
    return images


def draw_images(count: int, seed: int, *, crowd: bool) -> Tensor:
    """`[count, 3, SIDE, SIDE]` uint8, drawn by all cores."""
    starts = range(0, count, CHUNK)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        chunks = list(pool.map(partial(draw_chunk, seed=seed, crowd=crowd), starts))
    return torch.from_numpy(np.concatenate(chunks)).permute(0, 3, 1, 2).contiguous()


class MaskedTagger(nn.Module):
    """A ViT that names the creature and paints masked patches.

    Args:
        vit: timm plain ViT with a class token, `num_classes=0`.
    """

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        dim = vit.embed_dim
        self.vit = vit
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.tag_head = nn.Linear(dim, len(PAIRS))
        self.pixel_head = nn.Linear(dim, 3 * 4)

    def forward(self, x: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """`x` is `[B, 3, H, W]`, `masked` `[B, P]` bool; gives tag logits and `[B, P, pixels]`."""
        tokens = self.vit.patch_embed(x)
        tokens = torch.where(masked[..., None], self.mask_token, tokens)
        tokens = self.vit._pos_embed(tokens)
        tokens = self.vit.norm(self.vit.blocks(self.vit.norm_pre(tokens)))
        return self.tag_head(tokens[:, 0]), self.pixel_head(tokens[:, 1:])


@torch.no_grad()
def start_from_similarity(vit: VisionTransformer) -> None:
    """Starts attention as similarity: tokens look at tokens like themselves and near themselves.

    Mimetic initialisation (Trockman and Kolter, arXiv 2305.09828): the product of query and key
    weights is near the identity, that of value and output weights near its negative, and positions
    are sines. A small ViT then needs far fewer images.
    """
    dim = vit.embed_dim
    for block in vit.blocks:
        attention = block.attn
        assert isinstance(attention, Attention)
        heads = attention.num_heads
        queries, keys, _ = attention.qkv.weight.chunk(3)
        for head in range(heads):
            rows = slice(head * dim // heads, (head + 1) * dim // heads)
            u, s, v = torch.linalg.svd(
                0.7 * torch.eye(dim) + 0.7 * torch.randn(dim, dim) / dim**0.5
            )
            root = s[: dim // heads, None].sqrt()
            queries[rows] = u.T[: dim // heads] * root
            keys[rows] = v[: dim // heads] * root
        u, s, v = torch.linalg.svd(0.4 * torch.randn(dim, dim) / dim**0.5 - 0.4 * torch.eye(dim))
        attention.proj.weight.copy_(u * s.sqrt())
        attention.qkv.weight[2 * dim :] = s.sqrt()[:, None] * v
    grid = CROP // PATCH
    place = (torch.arange(grid)[:, None] * 10000 ** (-torch.arange(dim // 4) / (dim // 4))).float()
    line = torch.cat([place.sin(), place.cos()], 1)
    plane = torch.cat(
        [line[:, None].expand(-1, grid, -1), line[None].expand(grid, -1, -1)], 2
    ).reshape(grid**2, dim)
    assert vit.pos_embed is not None
    vit.pos_embed[0, 1:] = 0.5 * plane
    vit.pos_embed[0, 0] = 0


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Random shift and mirror of `[B, 3, SIDE, SIDE]` uint8, to `[B, 3, CROP, CROP]` in [-1, 1]."""
    shift = rng.integers(0, SIDE - CROP + 1, (len(images), 2))
    crops = torch.stack(
        [
            image[:, y : y + CROP, x : x + CROP]
            for image, (y, x) in zip(images, shift.tolist(), strict=True)
        ]
    )
    flip = torch.from_numpy(rng.random(len(images)) < 0.5)[:, None, None, None]
    return torch.where(flip, crops.flip(-1), crops).float() / 127.5 - 1


def write(vit: VisionTransformer, path: Path) -> None:
    """Writes the ViT's weights in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in vit.state_dict().items()}, path)


def pretrain(args: argparse.Namespace) -> None:
    """Draws the images, trains, and writes the ViT's weights in half precision."""
    torch.manual_seed(args.seed)
    began = time.time()
    singles = draw_images(args.images, args.seed, crowd=False)
    crowds = draw_images(args.images, args.seed, crowd=True)
    print(f"drew {2 * len(singles)} images in {time.time() - began:.0f} s", flush=True)
    vit = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=CROP,
        patch_size=PATCH,
        embed_dim=args.dim,
        depth=args.depth,
        num_heads=args.heads,
        num_classes=0,
    )
    assert isinstance(vit, VisionTransformer)
    start_from_similarity(vit)
    model = MaskedTagger(vit)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.lr, weight_decay=0.05, betas=(0.9, 0.98), fused=True
    )
    steps_per_epoch = len(singles) // args.batch
    steps = args.epochs * steps_per_epoch
    warm_up = min(200, steps // 5)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * min(i / steps, 1))) + 1e-3),
    )
    write(vit, args.output)
    for epoch in range(args.epochs):
        rng = np.random.default_rng((args.seed, epoch))
        named, unnamed = (
            rng.permutation(len(images))[: steps_per_epoch * args.batch].reshape(-1, args.batch)
            for images in (singles, crowds)
        )
        sums = np.zeros(3)
        for rows, others in zip(named, unnamed, strict=True):
            x = augment(torch.cat([singles[rows], crowds[others]]), rng)
            tags = torch.from_numpy(rows % len(PAIRS))
            share = np.concatenate(
                [rng.uniform(0.0, 0.2, args.batch), rng.uniform(0.4, 0.7, args.batch)]
            )
            masked = torch.from_numpy(rng.random((len(x), (CROP // PATCH) ** 2)) < share[:, None])
            colours = F.pixel_unshuffle(F.avg_pool2d(x, PATCH // 2), 2).flatten(2).transpose(1, 2)
            logits, painted = model(x, masked)
            tag_loss = F.cross_entropy(logits[: args.batch], tags)
            misses = (painted - colours).abs().mean(2)
            paint_loss = misses[masked].mean()
            loss = tag_loss + args.paint_weight * (paint_loss + 0.3 * misses[~masked].mean())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            right = (logits[: args.batch].argmax(1) == tags).float().mean().item()
            sums += [tag_loss.item(), paint_loss.item(), right]
        tag_mean, paint_mean, right = sums / steps_per_epoch
        print(
            f"epoch {epoch + 1}/{args.epochs}: tag loss {tag_mean:.3f}, accuracy {right:.3f}, "
            f"paint loss {paint_mean:.4f}, {time.time() - began:.0f} s",
            flush=True,
        )
        write(vit, args.output)


def main() -> None:
    """Reads the command line and pretrains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="safetensors file to write")
    parser.add_argument("--images", type=int, default=9000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--paint-weight", type=float, default=6.0)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    pretrain(parser.parse_args())


if __name__ == "__main__":
    main()
