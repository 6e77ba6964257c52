import numpy as np

from weaktr.models.cam_kinds import CAM_KINDS
from weaktr.report.cam_picture import ClassMaps, cam_figure


def test_head_weights_that_are_almost_equal_look_so() -> None:
    weights = np.full((2, 3), 0.9999, np.float32)
    weights[0, 0] = 0.9998
    seen = ClassMaps(
        np.zeros((16, 16, 3), np.uint8),
        np.ones(1, np.float32),
        [np.eye(2, dtype=np.float32)[None] for _ in CAM_KINDS],
        weights,
    )
    figure = cam_figure(seen, ["cat"], [0], "x.jpg")
    panel = next(axis for axis in figure.axes if axis.get_xlabel() == "head")
    assert panel.get_title() == "weights of the attention heads: 0.9998 to 0.9999"
    shades = np.asarray(panel.images[0].norm(weights))
    assert shades.max() - shades.min() < 0.02
    colorbar = panel.images[0].colorbar
    assert colorbar is not None
    bar = colorbar.ax
    assert [label.get_text() for label in bar.get_yticklabels()][-1] == "1.000"
    assert bar.yaxis.get_offset_text().get_text() == ""
