"""What tests with generated data sets share."""

import io
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from PIL import Image

from oracles import data_sets
from tests.tiny_data import box
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import Report, check_dataset

WIDTH, HEIGHT = 8, 6
within_seconds = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def encoded(format_: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), "teal").save(stream, format_)
    return stream.getvalue()


PICTURES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")}


def picture(path: Path, kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PICTURES[kind])


def checked(root: Path, **changes: Any) -> Report:
    report = check_dataset(DatasetParams(root=str(root), **changes), workers=1)
    if report.errors:
        assert data_sets.sentences(problem.message for problem in report.problems)
    event("refused" if report.errors else "read")
    return report


shapes = st.tuples(
    st.integers(0, WIDTH - 2), st.integers(0, HEIGHT - 2), st.integers(1, 8), st.integers(1, 6)
).map(lambda s: box(s[0], s[1], min(WIDTH, s[0] + s[2]), min(HEIGHT, s[1] + s[3])))
