"""One run of the clipping measurement: masks spoiled the same way again, projects it can use."""

from pathlib import Path

import pytest

from scripts.clipping_runs import CLEAN, Noise, checked, spoil
from weaktr.data.manifest import Manifest
from weaktr.errors import UserError
from weaktr.files import digest_files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("workspace")]


def test_spoiled_masks_follow_from_seed_and_noise() -> None:
    noise = Noise("missing objects", 0.4)
    place = Path("data/noisy")

    def digest(noise: Noise, seed: int) -> tuple[float, str]:
        return spoil(Path(), noise, seed), digest_files([place])

    quality, first = digest(noise, 0)
    assert 0 < quality < 100
    assert digest(noise, 0) == (quality, first)
    assert digest(noise, 1)[1] != first
    assert digest(Noise(CLEAN, 0), 0)[0] == 100


def test_projects_that_cannot_be_measured_are_refused() -> None:
    masks = Path("data/prepared/masks.csv")
    lines = masks.read_text().splitlines(keepends=True)
    val = {one.id for one in Manifest.load(Path("data/prepared")).of_split("val")}
    masks.write_text("".join(line for line in lines if line.split(",")[0] not in val))
    with pytest.raises(UserError, match="no image of val has a mask to measure by"):
        checked(Path())
    masks.write_text("".join(lines[:-1] if lines[-1].split(",")[0] not in val else lines[:2]))
    with pytest.raises(UserError, match="has no mask to spoil"):
        checked(Path())
