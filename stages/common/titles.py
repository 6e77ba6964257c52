"""What metrics mean, and their order; apart from the code that makes them, as words may change."""

from collections.abc import Mapping

TITLES = {
    "map": "tags, mean average precision",
    "miou_coarse": "coarse CAM, mIoU on train",
    "miou_seed": "CAM seed, mIoU on train",
    "miou_labels": "pseudo-labels, mIoU on train",
    "miou": "segmenter, mIoU",
    "accuracy": "segmenter, pixel accuracy",
    "corrected": "corrected masks that trained the segmenter",
}
"""What metrics mean, in the order of the pipeline; a group that a split follows stands alone."""


def title_of(name: str) -> str:
    """`segmenter, mIoU on val` for `miou_val`."""
    group, _, split = name.partition("_")
    return TITLES.get(name) or f"{TITLES.get(group, group)} on {split}"


def in_order(values: Mapping[str, float]) -> dict[str, float]:
    """The metrics in the order of the pipeline."""
    order = list(TITLES)

    def place(name: str) -> int:
        known = name if name in TITLES else name.partition("_")[0]
        return order.index(known) if known in TITLES else len(order)

    return {name: values[name] for name in sorted(values, key=place)}
