from pathlib import Path

import pytest

from weaktr.config.cam import CamParams
from weaktr.data.manifest import Manifest, Record, save_masks
from weaktr.errors import UserError
from weaktr.training.epoch_selection import selection_score


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
