"""Label Studio's code of painted regions, against codes made by its own converter."""

import numpy as np
import pytest

from weaktr.data.brush_rle import decode_brush, encode_brush

HEADER = [57, 27]
"""Values of 8 bits, counters of 3, 4, 8 and 16: the start of the fifth byte on."""
DIAGONAL = [0, 0, 0, 60, *HEADER, 252, 127, 248, 76, 2, 63, 252, 38, 1, 31, 252, 224, 0]
"""`numpy.eye(3, 5)`, as `label_studio_sdk.converter.brush.mask2rle` of release 2.1.2 gives it."""
SOFT = [0, 0, 0, 24, *HEADER, 252, 96, 17, 191, 199, 1, 31, 252, 96, 49, 228, 0]
"""Alpha 0, 127, 128 over 255, 1, 200, made in the same way."""
SINGLE = [0, 0, 0, 16, 57, 27, 248, 0, 32, 1, 0, 6, 7, 252, 64, 0, 63, 196, 18, 4, 0, 0, 160, 3, 0]
SINGLE += [14, 6, 64]
"""Four pixels with alpha 255, 127, 128 and 200, in blocks of one value and of equal ones."""


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (60, 41)])
def test_encoding_and_back(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(1).random(shape) < share
    mask[: shape[0] // 2] &= mask[:1, :1]  # a run of some length
    np.testing.assert_array_equal(decode_brush(encode_brush(mask), *shape), mask)


def test_runs_longer_than_a_counter() -> None:
    mask = np.zeros((200, 400), bool)
    mask[150:] = True
    np.testing.assert_array_equal(decode_brush(encode_brush(mask), 200, 400), mask)
    assert len(encode_brush(mask)) < 40


def test_codes_of_label_studio() -> None:
    assert encode_brush(np.eye(3, 5, dtype=bool)) == DIAGONAL
    np.testing.assert_array_equal(decode_brush(DIAGONAL, 3, 5), np.eye(3, 5, dtype=bool))


def test_half_covered_pixels_count() -> None:
    assert decode_brush(SOFT, 2, 3).tolist() == [[False, False, True], [True, False, True]]
    assert decode_brush(SINGLE, 1, 4).tolist() == [[True, False, True, True]]


def test_values_of_their_own() -> None:
    """Blocks of kind 0 hold each value: here 4 for the one pixel."""
    bits = f"{4:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "000" + "011" + "11111111" * 4
    code = [int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)]
    assert decode_brush(code, 1, 1).all()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (DIAGONAL[:-6], "ends too early"),
        ([0, 0, 0, 64, *DIAGONAL[4:]], "64 values, not the 60"),
        ([300, *DIAGONAL[1:]], "range"),
        ([], "early"),
    ],
)
def test_what_is_no_code_is_refused(code: list[int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_brush(code, 3, 5)
