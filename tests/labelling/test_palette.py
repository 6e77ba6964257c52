"""Palette PNG files in VOC's layout."""

from pathlib import Path

import numpy as np

from tests.labelling.label_maps import CLASSES, ring, write_images
from weaktr.data.masks import read_mask
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels


def test_void_stays_and_small_parts_go(tmp_path: Path) -> None:
    images = write_images(tmp_path, {"b/ring.jpg": ring(), "a.jpg": np.ones((4, 5), np.uint8)})
    out = tmp_path / "out"
    write_labels(images, CLASSES, "palette", out, Style(min_area=5))
    expected = ring()
    expected[25, 30] = 0
    np.testing.assert_array_equal(read_mask(out / "SegmentationClass/b/ring.png"), expected)
    assert (out / "ImageSets/Segmentation/default.txt").read_text() == "a\nb/ring\n"
    assert (out / "labelmap.txt").read_text().splitlines() == [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "cat:128,0,0::",
        "hot dog:0,128,0::",
        "zebu & ox:128,128,0::",
        "ignored:224,224,192::",
    ]
