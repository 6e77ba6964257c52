import numpy as np

from weaktr.report.overlay import overlay

IMAGE = np.full((8, 10, 3), 100, np.uint8)
LABELS = np.zeros((8, 10), np.uint8)
LABELS[2:5, 3:7] = 1


def test_an_overlay_paints_classes_and_leaves_background() -> None:
    painted = overlay(IMAGE, LABELS, opacity=0.5)
    assert painted[0, 0].tolist() == [100, 100, 100]
    assert painted[3, 4].tolist() == [114, 50, 50]  # half of VOC's dark red (128, 0, 0)
