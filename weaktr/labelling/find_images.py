"""The images that a folder of label maps belongs to, and what their classes are called."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from weaktr.data.images import inspect_image
from weaktr.data.manifest import (
    CLASSES_FILE,
    MANIFEST_FILE,
    Manifest,
    load_label_maps,
    read_classes,
)
from weaktr.data.parallel import parallel_map
from weaktr.data.readers.class_lists import class_list
from weaktr.data.readers.find_files import FileFinder, flat_ids, without_suffix
from weaktr.errors import UserError
from weaktr.labelling.labelled_image import LabelledImage

PREDICTIONS_TABLE = "predictions.csv"
_CLASSES_TABLE = "classes.csv"
_IMAGES = ("", "images/", "JPEGImages/")
"""Where in a folder names of images may start."""


@dataclass(frozen=True, slots=True)
class Found:
    """Label maps with their images.

    Attributes:
        images: What can be written.
        classes: Names in the order of ids, without background.
        notes: Where things came from, and what was passed over; one sentence each.
    """

    images: list[LabelledImage]
    classes: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


def find_labelled_images(
    masks: str | Path,
    images: str | Path | None = None,
    classes: str | None = None,
    scores: str | Path | None = None,
) -> Found:
    """Finds the image of every label map.

    Args:
        masks: Results of `weaktr predict`; a folder of label maps, named like their images or by
            the ids of a manifest; or a list such as `masks.csv`.
        images: The folder of the images, from which their names start; or a manifest (its folder).
            Results of `weaktr predict` know their images.
        classes: As `weaktr.data.readers.class_lists.class_list` reads it; `None`: the list that
            lies beside the masks or in the manifest.
        scores: A table with the columns `id` and `confidence`, such as a run's
            `reports/evaluate/images.csv`; results of `weaktr predict` have theirs.

    Raises:
        UserError: If a label map has no image, or nobody says what the ids are.
    """
    masks = Path(masks)
    found = _with_classes(masks, images, classes)
    return found if scores is None else _with_scores(found, Path(scores))


def _with_classes(masks: Path, images: str | Path | None, classes: str | None) -> Found:
    """The label maps with their images and the names of the ids."""
    table = _predictions_table(masks)
    manifest = _manifest_folder(images)
    if table is not None:
        found = _of_predictions(table, images if manifest is None else None)
        lists = [table.parent / _CLASSES_TABLE]
    elif images is None:
        raise UserError(
            f"{masks} does not say what images its masks belong to; name their folder, or "
            "data/prepared for those of a run, with --images."
        )
    elif manifest is not None:
        found = _of_manifest(masks, manifest)
        lists = [manifest / CLASSES_FILE]
    else:
        found = _of_folder(masks, Path(images))
        lists = [masks / CLASSES_FILE, masks.parent / CLASSES_FILE, Path(images) / CLASSES_FILE]
    if classes is not None:
        return replace(found, classes=class_list(classes))
    for path in lists:
        if path.exists():
            names = _read_classes_table(path) if path.suffix == ".csv" else read_classes(path)
            found.notes.append(f"Classes come from {path}.")
            return replace(found, classes=names)
    raise UserError(
        f"nothing says what the ids in {masks} mean; name the classes with --classes (voc, coco, "
        f"cat,dog or a file with one name per line)."
    )


def _with_scores(found: Found, table: Path) -> Found:
    """The same with the confidences of a table."""
    rows = _read_table(table, {"id", "confidence"}, "a table with the columns id and confidence")
    try:
        known = {row["id"]: float(row["confidence"]) for row in rows if row["confidence"]}
    except ValueError as error:
        raise UserError(f"{table} has a confidence that is no number ({error}).") from None
    if not any(image.id in known for image in found.images):
        raise UserError(
            f"{table} has no confidence of any of the images; their ids are like "
            f"{found.images[0].id!r}."
        )
    images = [replace(image, score=known.get(image.id)) for image in found.images]
    return replace(found, images=images)


def _predictions_table(masks: Path) -> Path | None:
    """The table of `weaktr predict`, if these are its results."""
    for folder in (masks, masks.parent) if masks.name == "masks" else (masks,):
        if (folder / PREDICTIONS_TABLE).is_file():
            return folder / PREDICTIONS_TABLE
    return None


def _manifest_folder(images: str | Path | None) -> Path | None:
    if images is None:
        return None
    path = Path(images)
    if path.name == MANIFEST_FILE:
        return path.parent
    return path if (path / MANIFEST_FILE).is_file() else None


def _of_predictions(table: Path, images: str | Path | None) -> Found:
    """Every row of the table, with its confidences."""
    needed = {"image", "mask", "width", "height", "confidence"}
    rows = _read_table(table, needed, "a table of `weaktr predict`")
    if not rows:
        raise UserError(f"{table} has no images; run `weaktr predict` again.")
    names, base = _names([row["image"] for row in rows], images)
    found = []
    for row, name in zip(rows, names, strict=True):
        try:
            size = int(row["width"]), int(row["height"])
            score = float(row["confidence"])
            columns = [column for column in row if column.startswith("confidence_")]
            scores = {
                label: float(row[column])
                for label, column in enumerate(columns, start=1)
                if row[column]
            }
        except ValueError:
            raise UserError(
                f"{table} has a row that `weaktr predict` did not write; run it again. "
                f"Got: {row['image']!r}."
            ) from None
        found.append(
            LabelledImage(
                id=without_suffix(row["mask"].removeprefix("masks/")),
                name=name,
                mask=str(table.parent / row["mask"]),
                width=size[0],
                height=size[1],
                score=score,
                scores=scores,
            )
        )
    return Found(found, (), [f"Names of images start at {base}."])


def _of_manifest(masks: Path, folder: Path) -> Found:
    """The images of a manifest that have a label map, by their ids."""
    manifest = Manifest.load(folder)
    maps = load_label_maps(masks) if masks.suffix == ".csv" else _maps_by_name(masks)
    known = {record.id for record in manifest}
    _refuse_strangers([maps[id_] for id_ in maps if id_ not in known], folder / MANIFEST_FILE)
    records = [record for record in manifest if record.id in maps]
    names, base = _names([record.image for record in records], None)
    found = [
        LabelledImage(
            id=record.id,
            name=name,
            mask=maps[record.id],
            width=record.width,
            height=record.height,
            split=record.split,
        )
        for record, name in zip(records, names, strict=True)
    ]
    return Found(found, (), _notes(base, len(manifest) - len(records)))


def _of_folder(masks: Path, images: Path) -> Found:
    """The images of a folder that have a label map of their name."""
    if not images.is_dir():
        raise UserError(f"--images {images} is not a folder; name the folder of the images.")
    maps = _maps_by_name(masks)
    finder = FileFinder(images)
    inside = {Path(path).resolve() for path in maps.values()}
    files = [file for file in finder.files if (images / file).resolve() not in inside]
    flat = {id_: file for file, id_ in flat_ids(files).items()}
    chosen: dict[str, str] = {}
    strangers = []
    for name, path in maps.items():
        file = finder.find(name, _IMAGES) or flat.get(name)
        if file is None or (images / file).resolve() in inside:
            strangers.append(path)
        else:
            chosen[name] = file
    _refuse_strangers(strangers, images)
    facts = parallel_map(inspect_image, [images / f for f in chosen.values()], "reading images")
    found = [
        LabelledImage(
            id=name,
            name=file,
            mask=maps[name],
            width=one.width,
            height=one.height,
        )
        for (name, file), one in zip(chosen.items(), facts, strict=True)
    ]
    return Found(found, (), _notes(images, len(files) - len(found)))


def _maps_by_name(folder: Path) -> dict[str, str]:
    """Path below the folder without suffix -> path of each PNG file."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a folder of masks.")
    maps = {
        path.relative_to(folder).as_posix()[: -len(".png")]: path.as_posix()
        for path in sorted(folder.rglob("*.png"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not maps:
        raise UserError(f"{folder} has no masks (PNG files); check the path.")
    return maps


def _refuse_strangers(paths: Sequence[str], where: Path) -> None:
    if paths:
        who = f"{paths[0]} has" if len(paths) == 1 else f"{len(paths)} masks ({paths[0]}, ...) have"
        raise UserError(
            f"{who} no image of that name in {where}; give the images that the masks were made of, "
            "or move the masks away."
        )


def _names(paths: Sequence[str], base: str | Path | None) -> tuple[list[str], str]:
    """Paths below a folder (`None`: the one that all share), and that folder as it was given."""
    if not paths:
        return [], ""
    if base is None:
        base = os.path.commonpath([os.path.dirname(path) or "." for path in paths])  # noqa: PTH120
    root = os.path.abspath(base)  # noqa: PTH100 (links stay apart)
    names = []
    for path in paths:
        whole = os.path.abspath(path)  # noqa: PTH100
        if not PurePath(whole).is_relative_to(root):
            raise UserError(
                f"{path} does not lie in {base}; name the folder that holds all images with "
                "--images."
            )
        names.append(PurePath(os.path.relpath(whole, root)).as_posix())
    return names, str(base)


def _notes(base: str | Path, without: int) -> list[str]:
    notes = [f"Names of images start at {base}."]
    if without:
        notes.append(f"Images without a mask, which were left out: {without}.")
    return notes


def _read_table(path: Path, needed: set[str], what: str) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            found = [dict(row) for row in rows]
            columns = set(rows.fieldnames or ())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path.") from None
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file ({error}); make it again.") from None
    if not needed <= columns or any(None in (*row, *row.values()) for row in found):
        raise UserError(f"{path} is not {what}; make it again.")
    return found


def _read_classes_table(path: Path) -> tuple[str, ...]:
    """Names from `classes.csv` of `weaktr predict`."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows: Iterable[dict[str, str]] = csv.DictReader(stream)
        names = [row.get("class") or "" for row in rows]
    if names[:1] != ["background"] or not all(names):
        raise UserError(f"{path} is not a table of `weaktr predict`; predict again.")
    return tuple(names[1:])
