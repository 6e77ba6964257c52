"""Class maps from Python."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import weaktr
from tests.api.scene import SCENE
from tests.console import CLASSES
from tests.console import weaktr as console
from weaktr.data.images import read_image
from weaktr.models.cam_kinds import CAM_KINDS
from weaktr.pseudo_labels.multi_scale_cam import scaled_input


def test_class_maps_are_the_networks(cam: weaktr.CAMModel) -> None:
    seen = cam.maps("photo.png")
    with torch.inference_mode():
        expected = cam.network.maps(scaled_input(cam.network, SCENE, 1.0)[None])
    assert seen.classes == CLASSES
    assert list(seen.maps) == ["coarse", "cross", "fused", "fine"]
    for kind in CAM_KINDS:
        np.testing.assert_array_equal(seen.maps[kind.name], kind.of(expected)[0].numpy())
        assert seen.maps[kind.name].shape == (3, 6, 6)
    np.testing.assert_array_equal(seen.probabilities, expected.class_logits[0].sigmoid().numpy())
    layers, heads = seen.head_weights.shape
    assert (layers, heads) == (2, 2)
    flat = expected.head_weights[0].numpy()
    for layer, head in itertools.product(range(layers), range(heads)):
        assert seen.head_weights[layer, head] == flat[head * layers + layer]
    np.testing.assert_array_equal(seen.image, SCENE)
    assert "coarse, cross, fused, fine: 3 x 6 x 6" in repr(seen)


def test_tags_choose_class_maps(cam: weaktr.CAMModel) -> None:
    everything, some = cam.maps(SCENE), cam.maps(Image.fromarray(SCENE), tags=("cow", "cat"))
    assert some.classes == ("cat", "cow")
    for kind, maps in everything.maps.items():
        np.testing.assert_array_equal(some.maps[kind], maps[[0, 2]])
    np.testing.assert_array_equal(some.probabilities, everything.probabilities[[0, 2]])
    np.testing.assert_array_equal(some.head_weights, everything.head_weights)
    with pytest.raises(weaktr.UserError, match="did you mean 'cat'"):
        cam.maps(SCENE, tags=["catt"])


@pytest.mark.parametrize("tags", [None, "dog,cat"])
def test_the_picture_is_that_of_weaktr_cam(tags: str | None, cam: weaktr.CAMModel) -> None:
    arguments = () if tags is None else ("--tags", tags)
    assert console("cam", "models/cam", "photo.png", *arguments) == 0
    seen = cam.maps("photo.png", tags=tags)
    theirs = np.asarray(read_image("photo.cam.png"))
    np.testing.assert_array_equal(np.asarray(seen.picture()), theirs)
    assert (seen._repr_png_() or b"").startswith(b"\x89PNG")


def test_a_notebook_keeps_its_backend_for_plots() -> None:
    code = (
        "import matplotlib.pyplot as plt, weaktr\n"
        "plt.figure(); weaktr.load('models/cam').maps('photo.jpg').picture()\n"
        "print(plt.get_backend(), plt.get_fignums())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MPLBACKEND": "svg"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "svg [1]\n"
