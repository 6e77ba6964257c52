"""Class lists as they are named on a command line."""

import os

from weaktr.data.manifest import check_classes, read_classes
from weaktr.data.readers.tags import parse_tags
from weaktr.data.readers.voc import VOC_CLASSES

COCO_CLASSES = tuple(
    """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
    fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
    bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
    sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
    wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
    hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock,
    vase, scissors, teddy bear, hair drier, toothbrush""".replace("\n    ", " ").split(", ")
)
"""The 80 classes of COCO, in the order of its category ids."""

KNOWN = {"voc": VOC_CLASSES, "coco": COCO_CLASSES}


def class_list(text: str) -> tuple[str, ...]:
    """Class names without background, in the order of mask ids.

    Args:
        text: `voc`, `coco`, a text file with one name per line, or the names, separated by commas.

    Raises:
        UserError: If the file is missing, or the names make no class list.

    >>> class_list("spoon, fork")
    ('spoon', 'fork')
    >>> len(class_list("coco"))
    80
    """
    if text in KNOWN:
        return KNOWN[text]
    is_file = os.path.isfile(text)  # noqa: PTH113 (a list of names may be too long for a path)
    if is_file or text.endswith(".txt"):
        return read_classes(text)
    return check_classes(parse_tags(text), where="--classes")
