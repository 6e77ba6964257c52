"""`decoder.rounds`: the segmenter's own predictions replace the pseudo-labels."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from stages import train_decoder
from tests.tiny import contents, run_stages, tiny_params, write_params
from weaktr.config.load import parse_params
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.relabel import relabel
from weaktr.segmentation.sliding_window import InferenceSettings, sliding_window_probabilities

TWO_ROUNDS = tiny_params(decoder__rounds=2, decoder__epochs=2, decoder__relabel_scales=[1.0, 1.5])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pseudo-labels."""
    folder = tmp_path_factory.mktemp("labelled")
    write_params(folder, TWO_ROUNDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stages(TWO_ROUNDS, ("prepare", "train_cam", "export_labels"))
    return folder


@pytest.fixture
def workspace(labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(labelled, folder)
    monkeypatch.chdir(folder)
    return folder


def test_relabelled_pixels_are_the_likeliest_tag_or_background(workspace: Path) -> None:
    params = parse_params(TWO_ROUNDS).decoder
    manifest = Manifest.load("data/prepared").of_split("train")
    torch.manual_seed(0)
    model = Segmenter.from_params(params, len(manifest.classes)).eval()
    folder = workspace / "relabelled"
    folder.mkdir()
    relabel(model, manifest, params, folder)
    assert {path.stem for path in folder.iterdir()} == {record.id for record in manifest}
    settings = InferenceSettings(window=48, stride=32, short_side=48, scales=(1.0, 1.5))
    forbidden_somewhere = False
    for record in manifest.records[:6]:
        image = torch.from_numpy(np.array(Image.open(record.image).convert("RGB")))
        probabilities = sliding_window_probabilities(model, image[None], settings)[0]
        ids = [0, *(manifest.classes.index(tag) + 1 for tag in record.tags)]
        others = [i for i in range(len(probabilities)) if i not in ids]
        forbidden_somewhere |= bool(np.isin(probabilities.argmax(0), others).any())
        probabilities[others] = -1
        np.testing.assert_array_equal(
            read_mask(folder / f"{record.id}.png"), probabilities.argmax(0)
        )
    assert forbidden_somewhere, "the tags cut nothing off: the test could not fail"


def test_second_round_learns_from_the_first_ones_predictions(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = []
    original = train_decoder.train_round

    def recorded(context, training, labels, *others):  # type: ignore[no-untyped-def]
        sources.append({name: read_mask(path) for name, path in labels.items()})
        return original(context, training, labels, *others)

    monkeypatch.setattr(train_decoder, "train_round", recorded)
    run_stages(TWO_ROUNDS, ["train_decoder"])
    first, second = sources
    assert first.keys() == second.keys()
    assert any((first[name] != second[name]).any() for name in first)
    pseudo = {path.stem: read_mask(path) for path in Path("data/pseudo-labels").glob("*.png")}
    assert all((first[name] == pseudo[name]).all() for name in pseudo)
    curves = pd.read_csv("reports/train_decoder/curves.csv")
    assert list(curves["epoch"]) == [1, 2, 3, 4]
    assert curves["lr"][2] == curves["lr"][0]
    metrics = json.loads(Path("reports/train_decoder/metrics.json").read_text())
    assert metrics["rounds"] == 2
    assert metrics["epochs"] == 4
    assert not list(Path("checkpoints").iterdir())


def test_killed_in_the_second_round_it_goes_on_there_to_the_same_bytes(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = ("models/segmenter", "reports/train_decoder")
    run_stages(TWO_ROUNDS, ["train_decoder"])
    expected = contents(*outputs)
    for output in outputs:
        shutil.rmtree(output)
    original = train_decoder.train_round
    rounds = []

    def killed(*arguments):  # type: ignore[no-untyped-def]
        rounds.append(arguments[-1])
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(train_decoder, "train_round", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stages(TWO_ROUNDS, ["train_decoder"])
    assert not Path("models/segmenter").exists()
    run_stages(TWO_ROUNDS, ["train_decoder"])
    assert rounds == [0, 2, 2], "the first round must not be repeated"
    assert contents(*outputs) == expected


def test_one_round_never_relabels(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("relabelled")

    monkeypatch.setattr(train_decoder, "relabel", refused)
    run_stages(tiny_params(), ["train_decoder"])
