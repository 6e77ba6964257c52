from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.segmentation.whole_images import probabilities as probabilities_of
from tests.tiny import run_stages, tiny_params, write_params
from weaktr.config.load import parse_params
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.journal import ImageJournal
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.relabel import relabel
from weaktr.segmentation.sliding_window import InferenceSettings


def test_relabelled_pixels_are_the_likeliest_tag_or_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tiny_params(decoder__relabel_scales=[1.0, 1.5])
    write_params(tmp_path, values)
    monkeypatch.chdir(tmp_path)
    run_stages(values, ["prepare"])
    params = parse_params(values).decoder
    manifest = Manifest.load("data/prepared").of_split("train")
    torch.manual_seed(0)
    model = Segmenter.from_params(params, len(manifest.classes)).eval()
    folder = tmp_path / "relabelled"
    relabel(model, manifest, params, ImageJournal(folder, ".png"), threads=2)
    assert {path.stem for path in folder.glob("*.png")} == {record.id for record in manifest}
    settings = InferenceSettings(window=48, stride=32, short_side=48, scales=(1.0, 1.5))
    forbidden_somewhere = False
    for record in manifest.records[:6]:
        image = torch.from_numpy(np.array(Image.open(record.image).convert("RGB")))
        probabilities = probabilities_of(model, image[None], settings)[0]
        ids = [0, *(manifest.classes.index(tag) + 1 for tag in record.tags)]
        others = [i for i in range(len(probabilities)) if i not in ids]
        forbidden_somewhere |= bool(np.isin(probabilities.argmax(0), others).any())
        probabilities[others] = -1
        np.testing.assert_array_equal(
            read_mask(folder / f"{record.id}.png"), probabilities.argmax(0)
        )
    assert forbidden_somewhere, "the tags cut nothing off: the test could not fail"
