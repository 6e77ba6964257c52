"""The scores by which an epoch is chosen, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.known_affinity import KnownAffinity
from weaktr.config.cam import CamParams
from weaktr.data.manifest import Manifest, Record, save_masks
from weaktr.data.masks import write_mask
from weaktr.errors import UserError
from weaktr.labels import VOID
from weaktr.models.cam_network import CAMLogits, CAMMaps, CAMNetwork
from weaktr.training import epoch_selection
from weaktr.training.epoch_selection import scores_of_tags, seed_miou, selection_score

CLASSES = ("cat", "dog", "cow")


class Colours(CAMNetwork):
    """Takes red for cats, green for dogs and blue for cows; one patch is one pixel.

    Its coarse CAMs run the wrong way along a row: a patch attends only to the one as far from the
    other end, so that the fine CAMs run the right way.
    """

    patch_size = 1
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.anchor = nn.Parameter(torch.zeros(1))  # it tells which device the network is on
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> CAMLogits:
        self.seen.append(tuple(x.shape))
        share = x.mean(dim=(2, 3))
        return CAMLogits(10 * share - 5, coarse=-share, fine=-share)

    def maps(self, x: Tensor) -> CAMMaps:
        self.seen.append(tuple(x.shape))
        coarse = x.flip(-1)
        affinity = KnownAffinity(torch.eye(x.shape[3]).flip(0)[None])
        return CAMMaps(
            coarse, torch.ones_like(x), affinity, torch.ones(1, 1), coarse.mean(dim=(2, 3))
        )


def picture(path: Path, *, size: tuple[int, int] | None = None, **colours: list[int]) -> str:
    """An image of one row, with the given red, green and blue; plain, where a size is given."""
    row = np.zeros((1, max(map(len, colours.values())), 3), np.uint8)
    for channel, name in enumerate(("red", "green", "blue")):
        row[0, :, channel] = colours.get(name, 0)
    image = Image.fromarray(row)
    (image.resize(size) if size else image).save(path)
    return str(path)


@pytest.mark.parametrize("batch", [32, 2])
def test_scores_of_tags_by_hand(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the most to the least likely image:

    - cats, by red: 0 cat, 1 none, 2 cat, 3 none, 4 cat; precision at the cats is 1/1, 2/3 and 3/5
    - dogs, by green: 1 dog, 3 none, 4 dog, 2 none, 0 none; precision at the dogs is 1/1 and 2/3
    - cows: no image has one, so that the mean leaves them out
    """
    monkeypatch.setattr(epoch_selection, "BATCH", batch)
    records = []
    for i, (red, green, blue, tags) in enumerate(
        (
            (250, 10, 90, ("cat",)),
            (200, 240, 80, ("dog",)),
            (150, 60, 70, ("cat",)),
            (100, 180, 60, ()),
            (50, 120, 50, ("cat", "dog")),
        )
    ):
        size = (30 + i, 20)
        path = picture(tmp_path / f"{i}.png", size=size, red=[red], green=[green], blue=[blue])
        records.append(Record(str(i), path, "val", tags, *size, ""))
    model = Colours()
    score = scores_of_tags(model, Manifest(CLASSES, tuple(records)), input_size=8).mean
    cats, dogs = (1 / 1 + 2 / 3 + 3 / 5) / 3, (1 / 1 + 2 / 3) / 2
    assert score == pytest.approx(100 * (cats + dogs) / 2)
    sizes = [5] if batch == 32 else [2, 2, 1]
    assert model.seen == [(size, 3, 8, 8) for size in sizes]


@pytest.mark.parametrize(
    ("with_masks", "best"),
    [
        # Of the cat's image alone: above 0.26 to 0.45 the pixels 2, 3 and 4 are cat. Background
        # has 2 pixels right of 0, 1 and 3 together; cat has 2 of 2, 3 and 4.
        (("cat",), (2 / 3 + 2 / 3) / 2),
        # Of both: above 0.66 pixel 4 is cat, and pixel 2 of the other image is dog. Background has
        # 5 pixels right of 6; cat has 1 of 2; dog has 1 of 1.
        (("cat", "dog"), (5 / 6 + 1 / 2 + 1 / 1) / 3),
    ],
)
def test_seed_miou_by_hand(with_masks: tuple[str, ...], best: float, tmp_path: Path) -> None:
    """The first image has a cat at the pixels 2 and 4. By the background score, cat is predicted

    - to 0.25 at 1, 2, 3, 4: IoU 2/4, of background 1/3; to 0.45 at 2, 3, 4: 2/3 and 2/3
    - to 0.65 at 3, 4: 1/3 and 2/4; above at 4: 1/2 and 3/4

    The second image has a dog at pixel 2, and is void at pixel 3. Dog is predicted

    - to 0.65 at 1, 2: IoU 1/2; above at 2: 1/1

    Over both images, background has in these four ranges 2/5, 3/5, 3/6 and 5/6.
    """
    reds = [0, 64, 115, 166, 255]
    greens = [0, 166, 255, 255]
    # The cat's image has green where a dog would be found, if its tags did not keep dogs out.
    cat = picture(tmp_path / "cat.png", red=reds, green=[255, 0, 0, 0, 0])
    dog = picture(tmp_path / "dog.png", green=greens)
    masks = {"cat": [0, 0, 1, 0, 1], "dog": [0, 0, 2, VOID]}
    for name, ids in masks.items():
        write_mask(tmp_path / f"{name}-mask.png", np.array([ids], np.uint8))
    records = (
        Record("cat", cat, "train", ("cat",), 5, 1, ""),
        Record("dog", dog, "train", ("dog",), 4, 1, ""),
        Record("no mask", str(tmp_path / "not opened.png"), "train", ("cow",), 9, 9, ""),
    )
    model = Colours()
    paths = {name: str(tmp_path / f"{name}-mask.png") for name in with_masks}
    assert seed_miou(model, Manifest(CLASSES, records), paths) == pytest.approx(100 * best)
    assert model.seen == [(1, 3, 1, len(masks[name])) for name in with_masks]  # not mirrored too


def manifest(*tags: str) -> Manifest:
    """A tagged training image, and a validation image a tag or, for an empty name, without one."""
    rows = [("train", "cat"), *(("val", tag) for tag in tags)]
    records = [
        Record(str(i), f"{i}.png", split, (tag,) if tag else (), 8, 8, "")
        for i, (split, tag) in enumerate(rows)
    ]
    return Manifest(("cat", "dog"), tuple(records))


def test_the_last_epoch_needs_no_score(tmp_path: Path) -> None:
    assert selection_score(CamParams(), manifest(), tmp_path) is None


@pytest.mark.parametrize("tags", [(), ("", "")])
def test_tag_map_without_tags_to_score_is_refused(tags: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs tagged images in the val split"):
        selection_score(CamParams(select="map"), manifest(*tags), tmp_path)
    assert selection_score(CamParams(select="map"), manifest(*tags, "dog"), tmp_path) is not None


def test_seed_miou_without_masks_is_refused(tmp_path: Path) -> None:
    save_masks(tmp_path, {})
    with pytest.raises(UserError, match="needs masks of training images"):
        selection_score(CamParams(select="seed_miou"), manifest(), tmp_path)
