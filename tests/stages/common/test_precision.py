from pathlib import Path

import pytest

from stages.common.precision import precision_at_hand
from stages.common.stage import Context
from tests.tiny import tiny_params
from weaktr.config.load import parse_params
from weaktr.config.values import Precision


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("float32", "float32"), ("bfloat16", "bfloat16"), ("auto", "float32"), ("float16", "float32")],
)
def test_what_a_device_lacks_is_said_in_a_sentence(
    wanted: Precision, expected: Precision, tmp_path: Path
) -> None:
    said: list[str] = []
    context = Context(
        params=parse_params(tiny_params()), device="cpu", reports=tmp_path, say=said.append
    )
    assert precision_at_hand(context, wanted, "labels") == expected
    sentence = f"labels.precision: {wanted} is {expected} on this device (cpu)"
    assert said == ([] if wanted == expected else [sentence])
