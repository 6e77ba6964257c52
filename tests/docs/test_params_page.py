"""docs/params.md is made from the code, and is up to date."""

import yaml

from scripts.params_doc import PAGE, page, rerun_by
from tests.conftest import REPOSITORY


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m scripts.params_doc`"


def test_reruns_follow_the_pipeline() -> None:
    pipeline = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    assert rerun_by("decoder", pipeline) == ["train_decoder", "evaluate", "report", "summary"]
    assert rerun_by("evaluation", pipeline) == ["evaluate", "report", "summary"]
    assert rerun_by("dataset", pipeline)[0] == "prepare"
    assert rerun_by("runtime", pipeline) == []
