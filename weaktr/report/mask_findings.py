"""What stands out in the segmenter's masks."""

from itertools import pairwise

from weaktr.report.evidence import EDGE, MANY, Evidence, Finding, count, names, verb

WEAK = 20.0
"""IoU in percent under which a class is hardly segmented."""
CLIPPING_FIRST = "Mend first what clipping leaves out (`decoder.start_value`)"
"""In place of turns that take a longer training."""
SHORT = 15.0
"""Points of mIoU between labels and segmenter that two splits do not explain."""


def clipping_findings(evidence: Evidence) -> list[Finding]:
    """What the segmenter's curves tell of clipping."""
    if not evidence.gives_objects_up:
        return []
    share = f"{100 * evidence.clipped_objects:.0f} %"
    return [
        Finding(
            f"Clipping left out {share} of the pixels labelled as a class",
            "They had no gradient in the last epoch. Some of these labels are wrong, but where it "
            "was measured, objects were mostly lost with them (docs/evidence.md).",
            f"Set `decoder.start_value`, now {evidence.start_value:g}, to null (plain "
            "cross-entropy), or well under the loss that a run with null ends with. The loss of a "
            "run with clipping is another, smaller or larger.",
            serious=True,
        )
    ]


def prediction_findings(evidence: Evidence) -> list[Finding]:
    """What the masks themselves and the tags tell."""
    found = []
    rows, tags = evidence.predictions, bool(evidence.labels)
    longer = "Train longer (`decoder.epochs`) or at another `decoder.lr`"
    if evidence.gives_objects_up:
        longer = CLIPPING_FIRST
    empty = [row.id for row in rows if row.tags and row.background >= EDGE]
    if rows and len(empty) >= max(1, MANY * len(rows)):
        found.append(
            Finding(
                f"Nothing was found in {count(empty, 'image')} of {len(rows)} ({evidence.split})",
                f"They have tags, and their masks are background: {names(empty)}.",
                longer
                + (
                    "; if pseudo-labels too lack them, lower `labels.background_score`."
                    if tags
                    else "."
                ),
                serious=len(empty) >= len(rows) / 2,
            )
        )
    full = [row.id for row in rows if row.foreground >= EDGE]
    if rows and len(full) >= max(1, MANY * len(rows)):
        found.append(
            Finding(
                f"{count(full, 'mask')} of {len(rows)} {verb(full, 'hold')} no background "
                f"({evidence.split})",
                f"Such as {names(full)}.",
                longer
                + (
                    "; if pseudo-labels too lack it, raise `labels.background_score`."
                    if tags
                    else "."
                ),
                serious=len(full) >= len(rows) / 2,
            )
        )
    tagged = {tag for row in rows for tag in row.tags}
    predicted = {name for row in rows for name in row.predicted}
    never = [name for name in evidence.classes if name in tagged - predicted]
    if never:
        found.append(
            Finding(
                f"Never predicted on {evidence.split}: {names(never)}",
                "Images of the split carry these tags.",
                "See how they look in the pseudo-labels; rare classes need more images.",
                serious=True,
            )
        )
    return found


def measured_findings(evidence: Evidence) -> list[Finding]:
    """What only true masks tell of the segmenter."""
    found = []
    labels, result = evidence.train_miou.get("pseudo_labels"), [*evidence.steps.values()][-1:]
    if labels is not None and result and result[0] < labels - SHORT:
        found.append(
            Finding(
                f"The segmenter is {labels - result[0]:.1f} points below its labels",
                f"mIoU {result[0]:.1f} on {evidence.split}; the pseudo-labels have {labels:.1f} on "
                "training images.",
                f"{CLIPPING_FIRST}."
                if evidence.gives_objects_up
                else "Train it longer (`decoder.epochs`), from pretrained weights "
                "(`decoder.backbone.weights`), or at another `decoder.lr`.",
                serious=True,
            )
        )
    weak = [name for name, iou in evidence.class_iou.items() if iou < WEAK]
    if weak:
        named = [f"{name} {evidence.class_iou[name]:.1f}" for name in weak]
        found.append(
            Finding(
                f"{count(weak, 'class', 'classes')} hardly segmented on {evidence.split}",
                f"IoU below {WEAK:.0f} %: {names(named)}.",
                "See in the confusions below what they are taken for, and in the pictures which "
                "step loses them.",
                serious=len(weak) >= len(evidence.class_iou) / 2,
            )
        )
    for before, after in pairwise(evidence.steps):
        loss = evidence.steps[before] - evidence.steps[after]
        if loss > 0.5:
            what = {"multi_scale": "scales and flips", "crf": "the CRF"}.get(after, after)
            key = {"multi_scale": "evaluation.scales", "crf": "evaluation.crf"}.get(after, after)
            found.append(
                Finding(
                    f"Masks get worse by {loss:.1f} points through {what}",
                    f"mIoU {evidence.steps[before]:.1f} before and {evidence.steps[after]:.1f} "
                    "after.",
                    f"Change `{key}`: only `evaluate` and what follows it run again.",
                )
            )
    return found
