"""The report of results that lack something, or have something unusual."""

import html
import re
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import CHAIN, run_stages, tiny_params, write_params
from tests.tiny_data import write_image
from weaktr.data.masks import write_mask

pytestmark = pytest.mark.slow


def folder(root: Path, *, masks: bool) -> None:
    """Ten images with a split and, if asked for, masks; every fifth has neither tag nor object."""
    lines = ["image,tags,split,mask"]
    for number in range(10):
        name, label = f"{number}.png", 1 + number % 2
        write_image(root / "images" / name, seed=number, width=48, height=48)
        mask = np.zeros((48, 48), np.uint8)
        mask[12:36, 12:36] = label * (number % 5 > 0)
        write_mask(root / "masks" / name, mask)
        tag = ("cat", "cow")[label - 1] if number % 5 else ""
        split = "train" if number < 6 else "val"
        lines.append(f"{name},{tag},{split},{f'masks/{name}' if masks else ''}")
    (root / "classes.txt").write_text("cat\ncow\n", encoding="utf-8")
    (root / "tags.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def text_of_run(*, masks: bool, **changes: object) -> str:
    """The words of the report, in the working directory."""
    params = tiny_params(dataset__kind="folder", dataset__root="data/raw/own", **changes)
    write_params(Path(), params)
    (Path("data/raw/own/masks")).mkdir(parents=True)
    folder(Path("data/raw/own"), masks=masks)
    run_stages(params, CHAIN)
    page = Path("reports/report/report.html").read_text(encoding="utf-8")
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_images_without_tags_have_no_undefined_numbers() -> None:
    text = text_of_run(masks=True)
    assert "tags: none" in text
    assert not re.search(r"\bnan\b", text)
    assert "These images trained nothing" in text
    assert "own params" in text
    assert "near no recipe" in text


def test_a_class_in_no_label_has_its_colour_in_the_key_of_the_cams() -> None:
    text = text_of_run(masks=False, labels__background_score=0.999)
    assert "2 classes in no label: cat, cow" in text
    assert re.search(r"The label is that after the CRF\.\s+cat\s+cow", text)


def test_what_was_not_kept_and_what_was_trained_on_is_said() -> None:
    text = text_of_run(masks=True, evaluation__save_masks=False, evaluation__split="train")
    assert "Predictions were not kept" in text
    assert "These images trained nothing" not in text
