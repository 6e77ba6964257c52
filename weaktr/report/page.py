"""The report as one HTML file that needs nothing beside it: no script, no picture, no network."""

import html
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from weaktr.report.charts import line_chart
from weaktr.report.content import Panel, Panels, Report, Step
from weaktr.report.elements import heat_of, number, plain, rich, table_of
from weaktr.report.evidence import Finding
from weaktr.report.heads_section import heads_section
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
        f'<div class="tile"><dt>{plain(what)}</dt><dd>{plain(value)}</dd></div>'
        for value, what in report.tiles
    )
    body = "\n".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-h">'
        f'<h2 id="{anchor}-h">{plain(heading)}</h2>\n{inner}\n</section>'
        for anchor, heading, inner in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{plain(report.title)}</title><style>{STYLE}</style></head>\n<body>"
        '<a class="skip" href="#main">Skip to the report</a>\n'
        f"<header><h1>{plain(report.title)}</h1><p>{rich(report.summary)}</p>"
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
        yield f'<p class="soft">{rich(note)}</p>'


def _finding(finding: Finding) -> str:
    kind, name = ("Mend first", "serious") if finding.serious else ("Worth a look", "look")
    return (
        f'<li class="{name}"><h3><span>{kind}:</span> {rich(finding.title)}</h3>'
        f"<p>{rich(finding.detail)}</p><p><strong>Turn:</strong> {rich(finding.turn)}</p></li>"
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
        title = plain(step.title) + (
            f' <code class="soft">{plain(step.metric)}</code>' if step.metric else ""
        )
        known = [] if math.isnan(step.published) else [step.published]
        mark = "".join(f'<b style="left:{value:.2f}%"></b>' for value in known)
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{step.miou:.2f}%"></i>{mark}'
        cells = [plain(step.split), number(step.miou), gain]
        cells += [number(step.published)] if published else []
        rows.append((title, [*cells, f"{bar}</span>"]))
        before = step
    for name, value in report.marks:
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{value:.2f}%"></i></span>'
        rows.append((plain(name), ["", number(value), "", *([""] if published else []), bar]))
    yield table_of("mIoU of each step", header, rows, numbers={2, 3, 4} if published else {2, 3})
    words = "A gain is over the step before it, on the same split."
    if published:
        words += (
            f" Published values are those of the recipe {report.recipe} (black marks), not "
            "measured here; the first step that falls behind is where to look."
        )
    yield f'<p class="soft">{plain(words)}</p>'


def _images(report: Report) -> Iterator[str]:
    for group in report.panels:
        if group.rows:
            yield f"<h3>{plain(group.title)}</h3><p>{rich(group.intro)}</p>"
            yield _key(group, report.classes)
            yield from map(_panel, group.rows)


def _key(group: Panels, classes: Sequence[str]) -> str:
    """Names and colours of what the pictures hold."""
    present = sorted(set().union(*(row.labels for row in group.rows)) - {0})
    items = "".join(
        f'<li><i style="background:{colour_of(label)}"></i>{plain(name_of(label, classes))}</li>'
        for label in present
    )
    return f'<ul class="key" aria-label="Colours of the classes">{items}</ul>' if items else ""


def _panel(panel: Panel) -> str:
    pictures = "".join(
        f'<figure><img src="{data_uri(one.pixels)}" alt="{html.escape(one.alt)}" '
        f'width="{one.pixels.shape[1]}" height="{one.pixels.shape[0]}" loading="lazy">'
        f"<figcaption>{plain(one.step)}</figcaption></figure>"
        for one in panel.pictures
    )
    return (
        f'<article class="panel"><h4>{plain(panel.rank.capitalize())}: {plain(panel.name)}</h4>'
        f"<p>{plain(' · '.join(panel.facts))}</p>"
        f'<div class="steps">{pictures}</div></article>'
    )


def _classes(report: Report) -> Iterator[str]:
    if report.scores is None or report.matrix is None:
        return
    scores, names = report.scores, report.scores.class_names
    columns = ("iou", "precision", "recall")
    rows = [
        (
            plain(name),
            [*(number(float(scores.per_class[c][i])) for c in columns), f"{scores.pixels[i]:,}"],
        )
        for i, name in enumerate(names)
    ]
    header = ["class", "IoU (%)", "precision (%)", "recall (%)", "true pixels"]
    yield table_of("Scores of every class", header, rows, numbers={1, 2, 3, 4})
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
    rows = [(plain(names[a]), [plain(names[p]), f"{value:.1f}"]) for value, a, p in taken]
    if rows:
        header = ["true class", "taken for", "share of its pixels (%)"]
        yield table_of("The largest confusions", header, rows, numbers={2})
    if len(names) <= MOST_LABELS:
        yield heat_of(
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
            plain(tag.name),
            [number(tag.average_precision), str(tag.given), str(tag.predicted), str(tag.both)],
        )
        for tag in report.tags
    ]
    header = ["class", "average precision (%)", "images with the tag", "found in", "right"]
    caption = f"Tags found against tags given, {report.tag_split} images (found: over one half)"
    yield table_of(caption, header, rows, numbers={1, 2, 3, 4})


def _shares(report: Report) -> Iterator[str]:
    if not report.shares:
        return
    sets = list(dict.fromkeys(name for values in report.shares.values() for name, _ in values))
    rows = [
        (plain(what), [plain(dict(values).get(name, "")) for name in sets])
        for what, values in report.shares.items()
    ]
    yield table_of(
        "Counted on labels alone", ["", *sets], rows, numbers=set(range(1, 1 + len(sets)))
    )


def _training(report: Report) -> Iterator[str]:
    if report.curves:
        charts = []
        for name, (epochs, lines) in report.curves.items():
            rows = [
                (str(epoch), [number(values[i], ".4g") for values in lines.values()])
                for i, epoch in enumerate(epochs)
            ]
            table = table_of(name, ["epoch", *lines], rows, numbers=set(range(1, len(lines) + 1)))
            charts.append(
                f"<div><h3>{plain(name)}</h3>{line_chart(name, epochs, lines)}"
                f"<details><summary>The same as a table: {plain(name)}</summary>{table}"
                "</details></div>"
            )
        yield f'<div class="columns">{"".join(charts)}</div>'
        if any("fine" in lines for _, lines in report.curves.values()):
            yield f'<p class="soft">{plain(LN2)}</p>'
    if report.heads is not None:
        yield from heads_section(report.heads)


def _params(report: Report) -> Iterator[str]:
    if report.recipe:
        what = "Recipe" if report.from_recipe else "Params"
        yield f"<p>{what}: <strong>{plain(report.recipe)}</strong>.</p>"
    if report.params:
        rows = [
            (
                f"<code>{plain(row.key)}</code>",
                [
                    plain(row.recipe),
                    plain(row.own),
                    re.sub(r"\*(\S[^*]*)\*", r"<em>\1</em>", rich(row.meaning)),
                ],
            )
            for row in report.params
        ]
        yield table_of("Where the params differ from it", ["key", "recipe", "here", "what"], rows)
    elif report.all_params:
        yield f"<p>{SAME if report.from_recipe else OWN}</p>"
    if report.all_params:
        rows = [(f"<code>{plain(key)}</code>", [plain(value)]) for key, value in report.all_params]
        table = table_of("All params that results depend on", ["key", "value"], rows)
        yield f"<details><summary>All params</summary>{table}</details>"


def _provenance(report: Report) -> Iterator[str]:
    if report.provenance:
        yield _facts(report.provenance)
        yield FACTS


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{plain(k)}</dt><dd><code>{plain(v)}</code></dd>" for k, v in facts)
    return f'<dl class="facts">{items}</dl>'
