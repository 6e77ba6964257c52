"""What a person corrected in the masks that the segmenter learned from."""

from typing import Any

from stages.common.paths import REPORTS
from weaktr.files import read_json


def corrected_facts() -> dict[str, Any]:
    """What `train_decoder` wrote of corrected masks."""
    facts = read_json(REPORTS / "train_decoder" / "details.json")["corrected"]
    assert isinstance(facts, dict)
    return facts
