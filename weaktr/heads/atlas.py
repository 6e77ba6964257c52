"""The atlas of heads: what every head of every layer does, and whether the fusion knows it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from weaktr.data.manifest import Manifest, Record
from weaktr.heads.facts import HeadFacts, head_facts
from weaktr.heads.headroom import Headroom, HeadroomScores
from weaktr.heads.seen import see
from weaktr.heads.true_masks import HALVES, MapScores, Values, read_truth, single_head_maps
from weaktr.metrics.rank_correlation import spearman
from weaktr.models.cam_network import CAMNetwork
from weaktr.progress import track


@dataclass(frozen=True)
class Oracle:
    """What true masks tell.

    Attributes:
        class_row: mIoU in percent of the coarse CAM times one head's class rows `[L, H]`.
        affinity: mIoU in percent of the fused CAM under one head's affinity `[L, H]`.
        headroom: What a choice by masks would gain.
    """

    class_row: Values
    affinity: Values
    headroom: Headroom


@dataclass(frozen=True)
class Atlas:
    """Every head, over some images; each array is `[L, H]`.

    Attributes:
        images: Ids of the images.
        weight: The fusion's weight, mean.
        row_weight: That in the class rows: another one only with `cam.fusion: lift`.
        weight_low, weight_high: Its 10th and 90th percentile over the images.
        entropy, distance, class_row, affinity: Means of what `HeadFacts` says.
        oracle: By true masks, where they were asked for.
    """

    images: tuple[str, ...]
    weight: Values
    row_weight: Values
    weight_low: Values
    weight_high: Values
    entropy: Values
    distance: Values
    class_row: Values
    affinity: Values
    oracle: Oracle | None

    @property
    def weight_spread(self) -> Values:
        """How far the weights of most images lie apart."""
        return self.weight_high - self.weight_low

    @property
    def quality(self) -> tuple[Values, Values]:
        """How good class rows and affinities are: by true masks where there are, or by CAMs."""
        best = self.oracle or self
        return best.class_row, best.affinity

    def correlations(self) -> dict[str, float]:
        """Spearman's rank correlations over all heads, by what is held against what."""
        found = {
            "weight, class row": spearman(self.row_weight, self.class_row),
            "weight, affinity": spearman(self.weight, self.affinity),
        }
        if self.oracle is not None:
            for name, weight, by_cams, by_masks in (
                ("class row", self.row_weight, self.class_row, self.oracle.class_row),
                ("affinity", self.weight, self.affinity, self.oracle.affinity),
            ):
                found[f"weight, {name} by masks"] = spearman(weight, by_masks)
                found[f"{name}, the same by masks"] = spearman(by_cams, by_masks)
        return found


def choose_images(manifest: Manifest, most: int) -> list[Record]:
    """Some images with tags, drawn by the digest of their ids: the same ones every time.

    Args:
        manifest: Of one split.
        most: At most so many.
    """
    tagged = [record for record in manifest.records if record.tags]
    return sorted(tagged, key=lambda one: hashlib.blake2b(one.id.encode()).digest())[:most]


@torch.inference_mode()
def make_atlas(
    model: CAMNetwork,
    records: Sequence[Record],
    classes: Sequence[str],
    masks: Mapping[str, str] | None = None,
) -> Atlas:
    """Measures every head on some images, one image at a time.

    Args:
        model: In evaluation mode.
        records: Images with tags, at least one.
        classes: All class names.
        masks: Path of the true mask of every image, to measure by them too; then there must be two
            images or more, and each goes through the network twice.
    """
    facts: list[HeadFacts] = []
    layers, heads = len(model.backbone.blocks), model.backbone.num_heads
    singles = MapScores(2 * layers * heads, len(classes)) if masks is not None else None
    for index, record in enumerate(track(records, "heads")):
        seen = see(model, record, classes)
        facts.append(HeadFacts(*(one.cpu() for one in head_facts(seen))))
        if masks is not None and singles is not None:
            truth = read_truth(seen, masks[record.id], len(classes))
            maps = torch.cat(single_head_maps(seen))
            singles.update(maps, seen.present, seen.grid, truth, index % HALVES)
    oracle = None
    if masks is not None and singles is not None:
        shape = (2, layers, heads)
        rows, affinities = singles.of_all().reshape(shape)
        by_half = np.stack([singles.of_half(half).reshape(shape) for half in range(HALVES)])
        choices = HeadroomScores(by_half[:, 0], by_half[:, 1], len(classes))
        for index, record in enumerate(track(records, "choices of heads")):
            seen = see(model, record, classes)
            truth = read_truth(seen, masks[record.id], len(classes))
            choices.update(seen, truth, index % HALVES)
        oracle = Oracle(rows, affinities, choices.result())
    stacked = {name: np.stack(values) for name, values in _columns(facts).items()}
    low, high = np.percentile(stacked["weight"], (10, 90), axis=0)
    means = {name: _mean(values) for name, values in stacked.items()}
    ids = tuple(record.id for record in records)
    return Atlas(images=ids, weight_low=low, weight_high=high, oracle=oracle, **means)


def _columns(facts: Sequence[HeadFacts]) -> dict[str, list[Values]]:
    return {
        name: [getattr(one, name).numpy().astype(np.float64) for one in facts]
        for name in HeadFacts._fields
    }


def _mean(values: Values) -> Values:
    """Mean over images `[n, L, H]` without NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.divide(total, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
