from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from weaktr.errors import UserError
from weaktr.models import hub
from weaktr.models.hub import require_hub

DEIT = "deit_small_patch16_224.fb_in1k"
DINO = "vit_small_patch14_dinov2.lvd142m"
CAM, DECODER = "cam.backbone", "decoder.backbone"


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, file: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def asked(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[str]:
    """Puts an answer in the place of the hub's, and lists what it was asked."""
    seen: list[str] = []

    def answer(url: str, **_options: object) -> None:
        seen.append(url)
        if error is not None:
            raise error

    monkeypatch.setattr(hub, "get_hf_file_metadata", answer)
    return seen


def test_one_sentence_names_all_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch, ConnectionError("Name or service not known"))
    with pytest.raises(UserError) as caught:
        require_hub({CAM: DEIT}, later={DECODER: DINO})
    assert str(caught.value) == (
        f"The pretrained weights of {DEIT} and {DINO} are not on this machine, and "
        "https://huggingface.co cannot be reached (Name or service not known): where there is a "
        f"network, download https://huggingface.co/timm/{DEIT}/resolve/main/model.safetensors, put "
        f"it at data/pretrained/{DEIT}.safetensors and set {CAM}.weights to that path; "
        f"https://huggingface.co/timm/{DINO}/resolve/main/model.safetensors, put it at "
        f"data/pretrained/{DINO}.safetensors and set {DECODER}.weights to that path."
    )
    assert len(seen) == 1


def test_a_model_for_both_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, TimeoutError())
    with pytest.raises(UserError, match=f"set {CAM}.weights and {DECODER}.weights to that path.$"):
        require_hub({CAM: DEIT}, later={DECODER: DEIT})


def test_what_is_needed_later_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, ConnectionError("no route"))
    assert DINO in require_hub({}, later={DECODER: DINO})


def test_offline_mode_is_named_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        require_hub({CAM: DEIT})
    assert seen == []


def test_what_is_in_the_cache_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch, ConnectionError("no route"))
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, file: f"/{file}")
    assert require_hub({CAM: DEIT}, later={DECODER: DINO}) == ""
    assert seen == []


def test_a_hub_that_answers_is_left_to_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, HfHubHTTPError.__new__(HfHubHTTPError))
    assert require_hub({CAM: DEIT}) == ""


def test_models_that_the_hub_does_not_have_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = asked(monkeypatch)
    assert require_hub({CAM: "vit_small_patch16_36x1_224", DECODER: "no_such_model"}) == ""
    assert seen == []
