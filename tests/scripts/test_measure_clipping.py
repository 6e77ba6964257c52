"""The measurement of the clipped loss: masks that are spoiled the same way again, and its table."""

from pathlib import Path

import pytest

from scripts import measure_clipping
from scripts.measure_clipping import CLEAN, LOSSES, PLAIN, Noise, missing, noises, spoil, table
from weaktr.files import digest_files


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_spoiled_masks_follow_from_seed_and_noise() -> None:
    noise = Noise("missing objects", 0.4)
    place = Path("data/noisy")

    def digest(noise: Noise, seed: int) -> tuple[float, str]:
        return spoil(Path(), noise, seed), digest_files([place])

    quality, first = digest(noise, 0)
    assert 0 < quality < 100
    assert digest(noise, 0) == (quality, first)
    assert digest(noise, 1)[1] != first
    assert digest(Noise(CLEAN, 0), 0)[0] == 100


def test_what_is_there_is_not_run_again() -> None:
    runs = {CLEAN: {PLAIN: {"0": {"miou": 1.0}}}}
    left = list(missing(runs, [0, 1]))
    assert len(left) == 2 * len(noises()) * len(LOSSES) - 1
    assert (0, Noise(CLEAN, 0), PLAIN) not in left


def test_gains_are_paired_by_seed() -> None:
    def found(miou: float) -> dict[str, float]:
        return {"miou": miou, "labels": 80.0, "final_loss": 0.41}

    runs = {
        "wrong class 0.2": {
            PLAIN: {"0": found(60), "1": found(70)},
            "clipped under 0.3": {"0": found(61), "1": found(73), "2": found(0)},
            "clipped under 0.6": {"1": found(68)},
        }
    }
    (row,) = table(runs).splitlines()[2:]
    assert row.startswith("| wrong class 0.2 | 80.0 ± 0.0 (2) | 0.41 ± 0.00 (2) | 65.0 ± 7.1 (2) |")
    assert "| +2.0 ± 1.4 (2) | -2.0 (1) | not measured |" in row


@pytest.mark.parametrize("arguments", [["--most", "-1"], ["--seeds", "0", "-3"]])
def test_numbers_below_zero_are_refused_before_anything_runs(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["measure_clipping", *arguments])
    monkeypatch.setattr(measure_clipping, "prepared", lambda _: pytest.fail("it runs"))
    with pytest.raises(SystemExit) as stop:
        measure_clipping.main()
    assert stop.value.code == 2
    assert "must be 0 or more" in capsys.readouterr().err
