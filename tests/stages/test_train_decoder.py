"""`decoder.rounds`: the segmenter's own predictions replace the pseudo-labels."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from stages import train_decoder
from stages.common.evidence import findings_after
from tests.tiny import contents, run_stages, tiny_params
from weaktr.config.load import load_params
from weaktr.data.masks import read_mask

pytestmark = pytest.mark.slow


TWO_ROUNDS = tiny_params(decoder__rounds=2, decoder__epochs=2, decoder__relabel_scales=[1.0, 1.5])


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
    metrics = json.loads(Path("reports/train_decoder/details.json").read_text())
    assert metrics["rounds"] == 2
    assert metrics["epochs"] == 4


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


def test_clipping_that_gives_objects_up_is_told_from_the_curves(workspace: Path) -> None:
    path, params = Path("reports/train_decoder/curves.csv"), load_params()
    curves = pd.read_csv(path)
    assert curves["clipped_objects"].between(0, 1).all()
    assert curves["clipped"].between(0, 1).all()
    for share, number in ((0.1, 0), (0.5, 1)):
        curves.assign(clipped_objects=share).to_csv(path, index=False)
        assert len(findings_after("train_decoder", params)) == number
    curves.drop(columns=["clipped", "clipped_objects"]).to_csv(path, index=False)
    assert findings_after("train_decoder", params) == []  # plain cross-entropy has no such columns
