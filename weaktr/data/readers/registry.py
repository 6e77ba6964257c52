"""The reader for each `dataset.kind`."""

from collections.abc import Callable

from weaktr.config.dataset import DatasetParams
from weaktr.data.readers.coco import read_coco
from weaktr.data.readers.cvat import read_cvat
from weaktr.data.readers.folder import read_folder
from weaktr.data.readers.imagefolder import read_imagefolder
from weaktr.data.readers.labelstudio import read_labelstudio
from weaktr.data.readers.listing import Listing
from weaktr.data.readers.voc import read_voc
from weaktr.data.readers.yolo import read_yolo

READERS: dict[str, Callable[[DatasetParams], Listing]] = {
    "voc": read_voc,
    "coco": read_coco,
    "folder": read_folder,
    "labelstudio": read_labelstudio,
    "cvat": read_cvat,
    "imagefolder": read_imagefolder,
    "yolo": read_yolo,
    "shapes": read_voc,  # The generator writes VOC's layout, with its own classes.txt.
}


def list_dataset(params: DatasetParams) -> Listing:
    """Lists a data set by the reader that `params.kind` names.

    Raises:
        UserError: If the data set as a whole cannot be read.
    """
    return READERS[params.kind](params)
