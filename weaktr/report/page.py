"""The report as one HTML file that needs nothing beside it: no script, no picture, no network."""

import html
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from weaktr.report.charts import line_chart
from weaktr.report.content import Panel, Panels, Report, Step
from weaktr.report.evidence import Finding
from weaktr.report.pictures import colour_of, data_uri, name_of
from weaktr.report.style import STYLE

MOST_LABELS = 31
"""Labels up to which the whole confusion matrix is shown."""
MOST_PAIRS = 10
"""Confusions that are named."""
FACTS = "<!-- facts of the machine -->"
"""Where `with_facts` puts what a pure file must not hold."""
LN2 = (
    "The fine CAM's loss stays near ln 2 = 0.693, and that is no fault: its logits are products "
    "with attention, so small that they are close to zero, and zero for every class costs just ln "
    "2. It trains the weights of the attention heads. Whether the network learns shows in the "
    "losses of class tokens and coarse CAM, and in the average precision of tags."
)

EQUAL = "They hardly differ: here the fusion does about what plain averaging would."
SAME = "No param differs from it."
OWN = "They are near no recipe, so there is nothing to compare them with."


def page(report: Report) -> str:
    """The page; equal reports give equal text."""
    sections = [
        (anchor, heading, body)
        for anchor, heading, parts in (
            ("trust", "Can I trust this, and what do I mend first?", _trust(report)),
            ("steps", "From tags to masks, step by step", _ladder(report)),
            ("images", "Images through all steps", _images(report)),
            ("classes", "Classes", _classes(report)),
            ("tags", "Tags", _tags(report)),
            ("shares", "What labels and masks hold", _shares(report)),
            ("training", "Training", _training(report)),
            ("params", "Params", _params(report)),
            ("provenance", "Provenance", _provenance(report)),
        )
        if (body := "\n".join(parts))
    ]
    links = "".join(f'<li><a href="#{a}">{a.capitalize()}</a></li>' for a, _, _ in sections)
    tiles = "".join(
        f'<div class="tile"><dt>{_text(what)}</dt><dd>{_text(value)}</dd></div>'
        for value, what in report.tiles
    )
    body = "\n".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-h">'
        f'<h2 id="{anchor}-h">{_text(heading)}</h2>\n{inner}\n</section>'
        for anchor, heading, inner in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{_text(report.title)}</title><style>{STYLE}</style></head>\n<body>"
        '<a class="skip" href="#main">Skip to the report</a>\n'
        f"<header><h1>{_text(report.title)}</h1><p>{_rich(report.summary)}</p>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f'<main id="main">\n<dl class="tiles">{tiles}</dl>\n{body}\n</main>\n'
        "<footer><p>One file: it needs nothing beside it, loads nothing, and can be sent as it "
        "is.</p></footer>\n</body></html>\n"
    )


def with_facts(text: str, facts: Sequence[tuple[str, str]]) -> str:
    """A page with facts that its file under DVC must not hold, such as the commit.

    Args:
        text: What `page` returned.
        facts: Name and value.
    """
    return text.replace(FACTS, _facts(facts) + FACTS)


def _trust(report: Report) -> Iterator[str]:
    if report.findings:
        yield f'<ul class="findings">{"".join(map(_finding, report.findings))}</ul>'
    else:
        yield (
            '<p class="sound">Nothing stands out among what this page checks. The pictures below '
            "are still worth a look.</p>"
        )
    for note in report.notes:
        yield f'<p class="soft">{_rich(note)}</p>'


def _finding(finding: Finding) -> str:
    kind, name = ("Mend first", "serious") if finding.serious else ("Worth a look", "look")
    return (
        f'<li class="{name}"><h3><span>{kind}:</span> {_rich(finding.title)}</h3>'
        f"<p>{_rich(finding.detail)}</p><p><strong>Turn:</strong> {_rich(finding.turn)}</p></li>"
    )


def _ladder(report: Report) -> Iterator[str]:
    if not report.ladder:
        return
    published = any(not math.isnan(step.published) for step in report.ladder)
    header = ["step", "split", "mIoU (%)", "gain", *(["published"] if published else []), ""]
    rows = []
    before: Step | None = None
    for step in report.ladder:
        same = before is not None and before.split == step.split
        gain = ""
        if before is not None and same:
            gain = f"{round(step.miou, 1) - round(before.miou, 1):+.1f}"  # of what the reader sees
        title = _text(step.title) + (
            f' <code class="soft">{_text(step.metric)}</code>' if step.metric else ""
        )
        known = [] if math.isnan(step.published) else [step.published]
        mark = "".join(f'<b style="left:{value:.2f}%"></b>' for value in known)
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{step.miou:.2f}%"></i>{mark}'
        cells = [_text(step.split), _number(step.miou), gain]
        cells += [_number(step.published)] if published else []
        rows.append((title, [*cells, f"{bar}</span>"]))
        before = step
    for name, value in report.marks:
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{value:.2f}%"></i></span>'
        rows.append((_text(name), ["", _number(value), "", *([""] if published else []), bar]))
    yield _table("mIoU of each step", header, rows, numbers={2, 3, 4} if published else {2, 3})
    words = "A gain is over the step before it, on the same split."
    if published:
        words += (
            f" Published values are those of the recipe {report.recipe} (black marks), not "
            "measured here; the first step that falls behind is where to look."
        )
    yield f'<p class="soft">{_text(words)}</p>'


def _images(report: Report) -> Iterator[str]:
    for group in report.panels:
        if group.rows:
            yield f"<h3>{_text(group.title)}</h3><p>{_rich(group.intro)}</p>"
            yield _key(group, report.classes)
            yield from map(_panel, group.rows)


def _key(group: Panels, classes: Sequence[str]) -> str:
    """Names and colours of what the pictures hold."""
    present = sorted(set().union(*(row.labels for row in group.rows)) - {0})
    items = "".join(
        f'<li><i style="background:{colour_of(label)}"></i>{_text(name_of(label, classes))}</li>'
        for label in present
    )
    return f'<ul class="key" aria-label="Colours of the classes">{items}</ul>' if items else ""


def _panel(panel: Panel) -> str:
    pictures = "".join(
        f'<figure><img src="{data_uri(one.pixels)}" alt="{html.escape(one.alt)}" '
        f'width="{one.pixels.shape[1]}" height="{one.pixels.shape[0]}" loading="lazy">'
        f"<figcaption>{_text(one.step)}</figcaption></figure>"
        for one in panel.pictures
    )
    return (
        f'<article class="panel"><h4>{_text(panel.rank.capitalize())}: {_text(panel.name)}</h4>'
        f"<p>{_text(' · '.join(panel.facts))}</p>"
        f'<div class="steps">{pictures}</div></article>'
    )


def _classes(report: Report) -> Iterator[str]:
    if report.scores is None or report.matrix is None:
        return
    scores, names = report.scores, report.scores.class_names
    columns = ("iou", "precision", "recall")
    rows = [
        (
            _text(name),
            [*(_number(float(scores.per_class[c][i])) for c in columns), f"{scores.pixels[i]:,}"],
        )
        for i, name in enumerate(names)
    ]
    header = ["class", "IoU (%)", "precision (%)", "recall (%)", "true pixels"]
    yield _table("Scores of every class", header, rows, numbers={1, 2, 3, 4})
    totals = report.matrix.sum(axis=1, keepdims=True)
    share = 100 * report.matrix / np.maximum(totals, 1)
    pairs = sorted(
        (
            (float(share[a, p]), a, p)
            for a in range(len(names))
            for p in range(len(names))
            if a != p
        ),
        key=lambda one: -one[0],
    )
    taken = [one for one in pairs[:MOST_PAIRS] if one[0] >= 0.05]
    rows = [(_text(names[a]), [_text(names[p]), f"{value:.1f}"]) for value, a, p in taken]
    if rows:
        header = ["true class", "taken for", "share of its pixels (%)"]
        yield _table("The largest confusions", header, rows, numbers={2})
    if len(names) <= MOST_LABELS:
        yield _heat(
            "Confusion: share of a true class's pixels (%), by what was predicted",
            "true \\ predicted",
            names,
            names,
            [[f"{value:.0f}" if value >= 0.5 else "" for value in row] for row in share],
            share / 100,
        )


def _tags(report: Report) -> Iterator[str]:
    if not report.tags:
        return
    yield (
        "<p>What the CAM network says of whole images. A class that it does not know gives no "
        "CAM worth a label.</p>"
    )
    rows = [
        (
            _text(tag.name),
            [_number(tag.average_precision), str(tag.given), str(tag.predicted), str(tag.both)],
        )
        for tag in report.tags
    ]
    header = ["class", "average precision (%)", "images with the tag", "found in", "right"]
    caption = f"Tags found against tags given, {report.tag_split} images (found: over one half)"
    yield _table(caption, header, rows, numbers={1, 2, 3, 4})


def _shares(report: Report) -> Iterator[str]:
    if not report.shares:
        return
    sets = list(dict.fromkeys(name for values in report.shares.values() for name, _ in values))
    rows = [
        (_text(what), [_text(dict(values).get(name, "")) for name in sets])
        for what, values in report.shares.items()
    ]
    yield _table("Counted on labels alone", ["", *sets], rows, numbers=set(range(1, 1 + len(sets))))


def _training(report: Report) -> Iterator[str]:
    if report.curves:
        charts = []
        for name, (epochs, lines) in report.curves.items():
            rows = [
                (str(epoch), [_number(values[i], ".4g") for values in lines.values()])
                for i, epoch in enumerate(epochs)
            ]
            table = _table(
                f"{name}, losses", ["epoch", *lines], rows, numbers=set(range(1, len(lines) + 1))
            )
            charts.append(
                f"<div><h3>{_text(name)}</h3>{line_chart(f'Losses of the {name}', epochs, lines)}"
                f"<details><summary>The same as a table: {_text(name)}</summary>{table}"
                "</details></div>"
            )
        yield f'<div class="columns">{"".join(charts)}</div>'
        if any("fine" in lines for _, lines in report.curves.values()):
            yield f'<p class="soft">{_text(LN2)}</p>'
    if report.head_weights is not None:
        weights = report.head_weights
        low, high = float(weights.min()), float(weights.max())
        spread = (weights - low) / max(high - low, 0.01)
        yield "<h3>Weights of the attention heads</h3>"
        yield (
            f"<p>How much the fusion counts each head of each layer, mean over the images above: "
            f"from {low:.3f} to {high:.3f}. {EQUAL if high - low < 0.01 else ''}</p>"
        )
        layers, heads = weights.shape
        yield _heat(
            "Weight by layer and head",
            "layer \\ head",
            [str(i + 1) for i in range(layers)],
            [str(i + 1) for i in range(heads)],
            [[f"{value:.3f}" for value in row] for row in weights],
            spread,
        )


def _params(report: Report) -> Iterator[str]:
    if report.recipe:
        what = "Recipe" if report.from_recipe else "Params"
        yield f"<p>{what}: <strong>{_text(report.recipe)}</strong>.</p>"
    if report.params:
        rows = [
            (
                f"<code>{_text(row.key)}</code>",
                [
                    _text(row.recipe),
                    _text(row.own),
                    re.sub(r"\*(\S[^*]*)\*", r"<em>\1</em>", _rich(row.meaning)),
                ],
            )
            for row in report.params
        ]
        yield _table("Where the params differ from it", ["key", "recipe", "here", "what"], rows)
    elif report.all_params:
        yield f"<p>{SAME if report.from_recipe else OWN}</p>"
    if report.all_params:
        rows = [(f"<code>{_text(key)}</code>", [_text(value)]) for key, value in report.all_params]
        table = _table("All params that results depend on", ["key", "value"], rows)
        yield f"<details><summary>All params</summary>{table}</details>"


def _provenance(report: Report) -> Iterator[str]:
    if report.provenance:
        yield _facts(report.provenance)
        yield FACTS


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{_text(k)}</dt><dd><code>{_text(v)}</code></dd>" for k, v in facts)
    return f'<dl class="facts">{items}</dl>'


def _table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    numbers: set[int] | None = None,
) -> str:
    """A table in a box of its own that scrolls.

    Args:
        caption: What it is.
        header: Names of the columns, as text.
        rows: HTML of the first cell, which names the row, and of the others.
        numbers: Columns that hold numbers.
    """

    def kind(column: int) -> str:
        return ' class="number"' if numbers and column in numbers else ""

    head = "".join(
        f'<th scope="col"{kind(i)}>{_text(cell)}</th>' if cell else "<td></td>"
        for i, cell in enumerate(header)
    )
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind(i)}>{cell}</td>" for i, cell in enumerate(rest, start=1))
        + "</tr>"
        for first, rest in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{html.escape(caption)}" tabindex="0">'
        f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _heat(
    caption: str,
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    strength: np.ndarray,
) -> str:
    """A table whose cells are the more coloured the larger their strength, from 0 to 1."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in columns)
    body = "\n".join(
        f'<tr><th scope="row">{_text(name)}</th>'
        + "".join(
            f'<td style="--v:{value:.2f}">{_text(cell)}</td>'
            for cell, value in zip(line, values, strict=True)
        )
        + "</tr>"
        for name, line, values in zip(rows, cells, strength.tolist(), strict=True)
    )
    return (
        f'<div class="scroll" role="region" aria-label="{html.escape(caption)}" tabindex="0">'
        f'<table class="heat"><caption>{_text(caption)}</caption><thead><tr>'
        f'<th scope="col">{_text(corner)}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _text(value: str) -> str:
    return html.escape(value)


def _rich(value: str) -> str:
    """Text in which backticks mark code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(value))


def _number(value: float, form: str = ".1f") -> str:
    return "–" if math.isnan(value) else format(value, form)
