import numpy as np

from weaktr.labels import VOC_PALETTE, VOID
from weaktr.report.pictures import SIDE, Painter

VOC = tuple(f"class {i}" for i in range(1, 21))


def test_painted_labels_are_nearest_to_their_own_colour_over_black_and_white() -> None:
    ids = np.array([*range(1, 21), VOID], np.uint8)
    labels = np.repeat(np.repeat(ids[None], 4, axis=0), 4, axis=1)
    image = np.zeros((*labels.shape, 3), np.uint8)
    image[:2] = 255
    painted = Painter("a", image, VOC).labels("label", labels).pixels.astype(float)
    middle = painted[[2, -3]][:, np.linspace(0, SIDE, len(ids), endpoint=False).astype(int) + 6]
    distance = np.linalg.norm(middle[:, :, None] - VOC_PALETTE[ids][None, None], axis=-1)
    assert (ids[distance.argmin(axis=-1)] == ids).all()
