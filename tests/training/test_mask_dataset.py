from pathlib import Path

import numpy as np
import pytest

from tests.training.data_sets import segmentation
from weaktr.data.manifest import Manifest
from weaktr.data.masks import write_mask
from weaktr.errors import UserError
from weaktr.training.mask_dataset import MaskDataset


def mask_paths(manifest: Manifest) -> dict[str, str]:
    return {r.id: r.image.replace(".png", "-mask.png") for r in manifest.records}


def test_missing_and_misfit_label_maps_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    paths = mask_paths(manifest)
    with pytest.raises(UserError, match=r"1 of 7 training images have no label map.*'3'"):
        MaskDataset(manifest, {k: v for k, v in paths.items() if k != "3"}, segmentation(), seed=0)
    write_mask(tmp_path / "0-mask.png", np.zeros((5, 6), np.uint8))
    with pytest.raises(UserError, match="is 6x5 pixels but its image .* is 30x20"):
        MaskDataset(manifest, paths, segmentation(), seed=0)[0, 0]
