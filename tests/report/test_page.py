import math
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.report.sample import CLASSES, full_report, heads
from weaktr.report.charts import BOTTOM, HEIGHT, line_chart
from weaktr.report.content import ParamRow, Report, Step
from weaktr.report.machine import machine_facts
from weaktr.report.page import page, with_facts


def test_names_are_escaped_and_undefined_values_are_dashes() -> None:
    text = page(full_report())
    assert "<h1>a &lt;b&gt; title</h1>" in text
    assert "cat &amp; dog" in text
    assert "<b>" not in text
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]+", "", text).lower())


def test_the_page_loads_nothing() -> None:
    text = page(full_report())
    assert "<script" not in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "url(" not in text


def test_steps_have_gains_on_their_own_split_and_published_values() -> None:
    text = page(full_report())
    row = next(line for line in text.splitlines() if "miou_seed" in line)
    cells = re.findall(r'<td class="number">([^<]*)</td>', row)
    assert cells == ["51.2", "+11.2", "69.4"]
    other_split = next(line for line in text.splitlines() if "miou_val" in line)
    assert re.findall(r'<td class="number">([^<]*)</td>', other_split) == ["60.0", "", "–"]


def test_the_key_has_the_colours_of_the_pictures() -> None:
    text = page(full_report())
    assert '<i style="background:rgb(128 0 0)"></i>cat &amp; dog</li>' in text
    assert '<i style="background:rgb(224 224 192)"></i>void</li>' in text


def test_a_report_without_anything_is_still_a_page() -> None:
    text = page(Report(title="t", summary="s", classes=CLASSES))
    assert "Nothing stands out" in text
    for absent in ("mIoU of each step", "Confusion", "Average precision", "Training</h2>"):
        assert absent not in text


def test_equal_reports_are_equal_text() -> None:
    assert page(full_report()) == page(full_report())


def test_facts_of_the_machine_come_in_afterwards() -> None:
    text = page(full_report())
    assert "torch" not in text
    filled = with_facts(text, [("torch", "2.9<1>")])
    assert "<dt>torch</dt><dd><code>2.9&lt;1&gt;</code></dd>" in filled
    names = [name for name, _ in machine_facts(Path())]
    assert names[0] == "weaktr"
    assert {"Python", "torch", "system"} <= set(names)


def test_many_images_and_classes_are_quick_and_small() -> None:
    begun = time.monotonic()
    text = page(full_report(images=500, classes=tuple(f"class {i}" for i in range(80))))
    assert time.monotonic() - begun < 10
    assert len(text.encode()) < 8 * 2**20
    assert text.count("<article") == 6
    assert text.count("<figure") == 36


def test_weights_that_do_not_differ_are_said_to_average() -> None:
    text = page(replace(full_report(), heads=heads(np.ones((2, 2)))))
    assert "plain averaging would" in text
    assert "plain averaging would" not in page(full_report())


def test_weights_are_held_against_the_worth_of_their_heads() -> None:
    text = page(full_report())
    assert "is +0.72 for class rows and -0.31 for the affinity, more than chance" in text
    assert "Lift of the affinity (%)" in text
    known = heads(np.ones((2, 2)))
    no_order = replace(known, class_row_order=math.nan, class_row=np.full((2, 2), math.nan))
    text = page(replace(full_report(), heads=no_order))
    assert "rank correlation" not in text
    assert "Lift of" not in text
    lifted = replace(full_report().heads or known, made_from_lift=True)
    text = page(replace(full_report(), heads=lifted))
    assert "is -0.31. They were made from lift" in text
    assert "chance (up to" not in text


def test_gains_are_those_of_the_numbers_beside_them() -> None:
    steps = [Step("coarse CAM", "train", 38.46), Step("fine CAM", "train", 43.43)]
    text = page(replace(full_report(), ladder=steps))
    row = next(line for line in text.splitlines() if "fine CAM" in line and "+" in line)
    assert re.findall(r'<td class="number">([^<]*)</td>', row) == ["43.4", "+4.9"]


def test_params_that_are_near_no_recipe_are_not_said_to_equal_one() -> None:
    own = replace(full_report(), recipe="own params 12ab", from_recipe=False, params=[])
    text = page(own)
    assert "near no recipe" in text
    assert "No param differs" not in text


def test_names_at_the_ends_of_lines_stay_above_the_axis() -> None:
    chart = line_chart("t", [1, 2], {name: [1.0, 0.0] for name in "abcd"})
    heights = [float(y) for y in re.findall(r'class="name c\d" x="\d+" y="([\d.]+)"', chart)]
    assert len(heights) == 4
    assert max(heights) <= HEIGHT - BOTTOM + 4
    assert min(b - a for a, b in zip(sorted(heights), sorted(heights)[1:], strict=False)) >= 17


def test_meanings_of_params_have_no_marks_of_markdown() -> None:
    row = ParamRow("labels.background_score", "0.4", "0.5", "A score, or `sweep`: by *masks*.")
    text = page(replace(full_report(), params=[row]))
    assert "A score, or <code>sweep</code>: by <em>masks</em>.</td>" in text
