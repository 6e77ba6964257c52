"""Label Studio's run-length code of painted regions (the format of its `rle-pack`).

A stream of bits, the highest of each byte first: the number of values (32 bits), their width less
one (5 bits), four lengths of counters less one (4 bits each), then blocks. A block is one bit for
its kind, two bits that choose a counter, the number of its values less one, and either one value
for all (kind 1) or one for each (kind 0). The values are the red, green, blue and alpha of every
pixel, row by row.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_COUNTERS = (3, 4, 8, 16)
_HALF = 128
"""Alpha from which a pixel counts as painted: that of half a pixel under a soft brush."""


def encode_brush(mask: npt.NDArray[np.bool_]) -> list[int]:
    """A mask `[H, W]` as bytes of Label Studio's code; what is painted is white and opaque."""
    flat = mask.reshape(-1)
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    lengths = np.diff(ends, prepend=0) * 4
    bits = [f"{flat.size * 4:032b}", f"{8 - 1:05b}", *(f"{width - 1:04b}" for width in _COUNTERS)]
    for length, end in zip(lengths.tolist(), ends.tolist(), strict=True):
        value = "11111111" if flat[end - 1] else "00000000"
        while length:
            block = min(length, 1 << _COUNTERS[-1])
            counter = next(c for c, width in enumerate(_COUNTERS) if block <= 1 << width)
            bits.append(f"1{counter:02b}{block - 1:0{_COUNTERS[counter]}b}{value}")
            length -= block
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode_brush(code: Sequence[int], height: int, width: int) -> npt.NDArray[np.bool_]:
    """The pixels `[H, W]` that a code paints with an alpha of at least one half.

    Raises:
        ValueError: If it is no such code, or of an image of another size.
    """
    text = f"{int.from_bytes(bytes(code), 'big'):0{8 * len(code)}b}"
    at = 0

    def read(bits: int) -> int:
        nonlocal at
        at += bits
        if at > len(text):
            raise ValueError("the code ends too early")
        return int(text[at - bits : at], 2)

    total = read(32)
    if total != height * width * 4:
        raise ValueError(f"the code has {total} values, not the {height * width * 4} of the image")
    value_bits = read(5) + 1
    counters = [read(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        same = read(1)
        count = read(counters[read(2)]) + 1
        if done + count > total:
            raise ValueError("the code has more values than it says")
        if same:
            values[done : done + count] = min(read(value_bits), 255)
        else:
            values[done : done + count] = [min(read(value_bits), 255) for _ in range(count)]
        done += count
    return values.reshape(height, width, 4)[:, :, 3] >= _HALF
