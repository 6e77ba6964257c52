import pytest

from weaktr.config.keys import all_keys, did_you_mean, similar_keys
from weaktr.config.params import Params
from weaktr.experiments.recipes import flatten


def test_every_key_is_there_with_its_default_and_a_meaning() -> None:
    defaults = flatten(Params().model_dump(mode="json"))
    assert {key.path: key.default for key in all_keys()} == defaults
    assert [key.path for key in all_keys() if not key.meaning] == []


def test_types_and_ranges_are_in_words() -> None:
    allowed = {key.path: key.allowed for key in all_keys()}
    assert allowed["cam.lr"] == "number, above 0"
    assert allowed["decoder.drop_path"] == "number, at least 0, below 1"
    assert allowed["evaluation.short_side"].endswith("at most 16384; or `null`")
    assert allowed["labels.background_score"] == "number, above 0, below 1; or `sweep`"
    assert allowed["labels.scales"] == "list, not empty, of: number, above 0, at most 16"
    assert allowed["cam.select"] == "`last`, `map`, `seed_miou`"


def test_a_section_has_the_defaults_that_its_place_gives_it() -> None:
    defaults = {key.path: key.default for key in all_keys()}
    assert defaults["labels.crf.backend"] == "lattice"
    assert defaults["evaluation.crf.backend"] == "none"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("cam.epoch", ["cam.epochs"]),
        ("cams.lr", ["cam.lr"]),
        ("lr", ["cam.lr", "decoder.lr"]),
        ("label", ["labels"]),
        ("evaluation.crf.iteration", ["evaluation.crf.iterations"]),
        ("backgruond", ["labels.background_score"]),
        ("epochss", ["cam.epochs", "decoder.epochs"]),
        ("zzz", []),
    ],
)
def test_what_somebody_may_have_meant(written: str, meant: list[str]) -> None:
    assert similar_keys(written) == meant


def test_the_words_of_a_proposal() -> None:
    assert did_you_mean("lr") == " Did you mean cam.lr or decoder.lr?"
    assert did_you_mean("zzz") == ""
