"""The worst labels as one HTML page that needs nothing beside it."""

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image

from weaktr.labels import VOC_PALETTE, VOID, Pixels
from weaktr.report.overlay import overlay
from weaktr.review.compare import Compared
from weaktr.review.doubt import Ranked

SIDE = 360
"""Longest side of a picture in pixels; smaller images are shown enlarged."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem; }
.row { display: flex; gap: .6rem; } figure { margin: 0; flex: 1; } img { width: 100%;
       image-rendering: pixelated; } figcaption, .note { color: #555; }
.key { margin-right: 1.2rem; white-space: nowrap; }
.key i { display: inline-block; width: .9em; height: .9em; margin-right: .35em; }
"""


def page(
    shown: Iterable[tuple[Ranked, Compared]],
    classes: Sequence[str],
    *,
    title: str,
    notes: Sequence[str],
) -> str:
    """The page.

    Args:
        shown: Labels in the order of their ranks.
        classes: Names without background.
        title: Its heading.
        notes: Sentences under it.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    parts += [f'<p class="note">{html.escape(note)}</p>' for note in notes]
    parts.append(_colour_key({**dict(enumerate(classes, start=1)), VOID: "void"}))
    for one, compared in shown:
        record = one.doubt.record
        tags = ", ".join(record.tags) or "none"
        parts.append(
            f"<h2>{one.rank}. {html.escape(record.id)}</h2>\n"
            f"<p>{html.escape('; '.join(one.reasons))}. "
            f'<span class="note">Tags: {html.escape(tags)}. '
            f"Doubt {one.doubt.doubt:.2f}.</span></p>"
        )
        pictures = (
            ("image", compared.image),
            ("pseudo-label", overlay(compared.image, compared.label)),
            ("segmenter", overlay(compared.image, compared.prediction)),
        )
        figures = "".join(_figure(caption, picture) for caption, picture in pictures)
        parts.append(f'<div class="row">{figures}</div>')
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _figure(caption: str, picture: Pixels) -> str:
    small = Image.fromarray(picture)
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    stream = io.BytesIO()
    small.save(stream, format="JPEG", quality=90)
    data = base64.b64encode(stream.getvalue()).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _colour_key(names: Mapping[int, str]) -> str:
    swatches = (
        f'<span class="key"><i style="background: rgb({red} {green} {blue})"></i>'
        f"{html.escape(name)}</span>"
        for name, (red, green, blue) in (
            (name, VOC_PALETTE[label].tolist()) for label, name in names.items()
        )
    )
    return f"<p>{' '.join(swatches)}</p>"
