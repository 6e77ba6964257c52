"""`weaktr import-checkpoint`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from weaktr.class_lists import class_list
from weaktr.compat import import_checkpoint
from weaktr.config import BackboneParams
from weaktr.errors import UserError


def run(
    checkpoint: Path,
    output: Path,
    *,
    classes: str,
    kind: Literal["auto", "cam", "segmenter"],
    backbone: str | None,
    num_heads: int | None,
    pool: Literal["max", "avg"],
    decoder_heads: int | None,
) -> Iterator[str]:
    """Imports a checkpoint.

    Yields:
        Lines that say what became of its tensors.
    """
    if num_heads is not None and backbone is None:
        raise UserError("--num-heads needs --backbone, the timm name of the ViT.")
    vit = BackboneParams(name=backbone, weights="none", num_heads=num_heads) if backbone else None
    done = import_checkpoint(
        checkpoint,
        output,
        classes=class_list(classes),
        kind=kind,
        backbone=vit,
        pool=pool,
        decoder_heads=decoder_heads,
    )
    yield f"{output}: a {done.kind}, {done.params.backbone.name}, {len(done.renamed)} tensors"
    for reason, count in Counter(done.dropped.values()).items():
        yield f"left out: {count} tensors ({reason})"
