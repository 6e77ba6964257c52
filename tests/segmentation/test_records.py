"""The loop over a split's images."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.colour_model import MODEL, striped
from weaktr.data.manifest import Record
from weaktr.errors import UserError
from weaktr.segmentation.look import Seen
from weaktr.segmentation.records import each_record
from weaktr.segmentation.sliding_window import InferenceSettings

SETTINGS = InferenceSettings(window=32, stride=20, batch=3)


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Eleven images of three shapes: two groups."""
    found = []
    for number in range(11):
        width, height = ((40, 32), (50, 36), (32, 48))[number % 3]
        path = tmp_path / f"{number}.png"
        Image.fromarray(striped(width, height, "krgb"[number % 4 :] or "k")).save(path)
        found.append(
            Record(
                id=f"{number}",
                image=str(path),
                width=width,
                height=height,
                tags=(),
                digest="",
                split="val",
            )
        )
    return found


def masks(record: Record, seen: Seen) -> tuple[str, torch.Tensor]:
    assert seen.size == (record.height, record.width)
    return record.id, torch.cat([one.masks.flatten() for one in seen.passes])


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("done", [(), ("3",), tuple(map(str, range(8)))])
def test_neither_threads_nor_what_is_done_change_a_bit(
    records: list[Record], threads: int, done: tuple[str, ...]
) -> None:
    whole = dict(each_record(MODEL, records, SETTINGS, masks, done=(), threads=1, title="whole"))
    assert list(whole) == [record.id for record in records]
    found = dict(
        each_record(MODEL, records, SETTINGS, masks, done=done, threads=threads, title="again")
    )
    assert list(found) == [record.id for record in records if record.id not in done]
    for id_, value in found.items():
        assert torch.equal(value, whole[id_])


def test_an_image_that_cannot_be_read_is_named(records: list[Record]) -> None:
    Path(records[4].image).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"4\.png"):
        list(each_record(MODEL, records, SETTINGS, masks, done=(), threads=2, title="broken"))
