"""Polygons hold exactly the pixels that they were drawn around."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from tests.labelling.label_maps import ring
from weaktr.labelling.polygons import Polygon, part_polygons


def painted(polygons: list[Polygon], height: int, width: int) -> np.ndarray:
    """The pixels that pycocotools fills."""
    shapes = [polygon.ravel().tolist() for polygon in polygons]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(shapes, height, width))).astype(
        bool
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 2**32 - 1), st.floats(0.1, 0.95))
def test_painting_gives_the_mask_again(h: int, w: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((h, w)) < share
    polygons = part_polygons(mask)
    if not mask.any():
        assert polygons == []
        return
    np.testing.assert_array_equal(painted(polygons, h, w), mask)
    sides = np.array([w, h])
    rounded = [np.round(polygon / sides, 6) * sides for polygon in polygons]  # as in YOLO's files
    np.testing.assert_array_equal(painted(rounded, h, w), mask)
    percent = [polygon * 100 / sides * sides / 100 for polygon in polygons]  # as in Label Studio's
    np.testing.assert_array_equal(painted(percent, h, w), mask)


def test_a_hole_is_joined_to_the_outline_and_straight_edges_have_no_corners_inside() -> None:
    mask = np.ones((20, 30), bool)
    mask[5:9, 6:20] = False
    (polygon,) = part_polygons(mask)
    assert len(polygon) == 8 + 8 + 2  # each rectangle has its four corners cut
    np.testing.assert_array_equal(painted([polygon], 20, 30), mask)


def test_an_island_in_a_hole_is_a_part() -> None:
    assert len(part_polygons(np.isin(ring(), (1, 2)))) == 2


@pytest.mark.parametrize("label", [1, 2, 3])
def test_another_way_of_filling_differs_along_edges_only(label: int) -> None:
    """Pillow fills the pixels that an outline touches, too."""
    mask = np.kron(ring() == label, np.ones((8, 8))) > 0
    canvas = Image.new("1", mask.shape[::-1])
    for polygon in part_polygons(mask):
        ImageDraw.Draw(canvas).polygon([tuple(xy) for xy in polygon - 0.5], fill=1)
    filled = np.asarray(canvas)
    assert (filled & mask).sum() / (filled | mask).sum() > 0.85
