"""`weaktr predict`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from weaktr.errors import UserError
from weaktr.image_paths import find_images
from weaktr.known_tags import read_known_tags
from weaktr.model_uri import load_named_model
from weaktr.predict import Outcome, predict, prediction_params
from weaktr.runtime import choose_device, set_threads


def run(
    model: str,
    images: Sequence[str],
    output: Path,
    *,
    overlay: bool,
    scales: str,
    flip: bool,
    short_side: int | None,
    crf: bool,
    tags: str | None,
    device: str,
) -> int:
    """Segments images and says where the results are.

    Returns:
        Exit code: 1 if some images were skipped, else 0.
    """
    numbers = parse_scales(scales)
    paths = find_images(images, skip=(output / "masks", output / "overlays"))
    set_threads(0)
    loaded = load_named_model(model, choose_device(device, given_as="--device"), kind="segmenter")
    allowed = None
    if tags is not None:
        allowed, notes = read_known_tags(tags, paths, loaded.classes)
        for note in notes:
            print(f"Warning: {note}", file=sys.stderr)
    outcome = predict(
        loaded.model,
        loaded.classes,
        paths,
        output,
        prediction_params(
            loaded.model.params, scales=numbers, flip=flip, short_side=short_side, crf=crf
        ),
        allowed=allowed,
        overlay=overlay,
        threads=min(8, os.cpu_count() or 1),
    )
    report(outcome, output)
    return 1 if outcome.skipped else 0


def parse_scales(text: str) -> tuple[float, ...]:
    """`0.75,1` as numbers.

    Raises:
        UserError: If they are not numbers from 0.1 to 10.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0.1 <= number <= 10 for number in numbers):
        raise UserError(
            "--scales must be numbers from 0.1 to 10 with commas between them, such as 0.75,1,1.25."
            f" Got: {text!r}"
        )
    return numbers


def report(outcome: Outcome, output: Path) -> None:
    """Says what was made, and lists what was skipped."""
    done = outcome.images - len(outcome.skipped)
    print(f"{done} of {outcome.images} images segmented: {output / 'predictions.csv'}")
    if outcome.skipped:
        print(f"Skipped: {len(outcome.skipped)}", file=sys.stderr)
    for problem in outcome.skipped:
        print(f"  {problem}", file=sys.stderr)
