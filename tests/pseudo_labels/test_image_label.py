import numpy as np
import torch

from weaktr.config.crf import CrfParams
from weaktr.pseudo_labels.image_label import pseudo_label
from weaktr.pseudo_labels.patch_cams import PatchCAMs

NO_CRF = CrfParams(backend="none")


def test_pseudo_label_keeps_class_ids() -> None:
    grid = torch.zeros(2, 4, 4)
    grid[0, :, 0], grid[1, :, 3] = 1, 1
    cams = PatchCAMs((4, 9), (grid,), 16, 16)
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:, :6], image[:, 10:] = 255, 128
    plain = pseudo_label(cams.full(), cams.classes, image, background_score=0.5, crf=NO_CRF)
    assert set(np.unique(plain)) == {0, 5, 10}
    sharp = pseudo_label(cams.full(), cams.classes, image, background_score=0.5, crf=CrfParams())
    assert (sharp[:, 0] == 5).all()
    assert (sharp[:, -1] == 10).all()
    assert set(np.unique(sharp)) <= {0, 5, 10}
