import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from weaktr.data.masks import write_mask
from weaktr.segmentation.voc_server import write_voc_archive

LABELS = np.zeros((8, 10), np.uint8)
LABELS[2:5, 3:7] = 1


def test_vocs_archive_has_the_servers_layout_and_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in ("2008_000006", "2008_000001"):
        write_mask(tmp_path / "masks" / f"{name}.png", LABELS)
    for name in ("a.tgz", "b.tgz"):
        write_voc_archive(tmp_path / "masks", tmp_path / name)
    assert (tmp_path / "a.tgz").read_bytes() == (tmp_path / "b.tgz").read_bytes()
    with tarfile.open(tmp_path / "a.tgz") as archive:
        folder = "results/VOC2012/Segmentation/comp6_test_cls"
        assert archive.getnames() == [f"{folder}/2008_000001.png", f"{folder}/2008_000006.png"]
        member = archive.extractfile(archive.getnames()[0])
        assert member is not None
        ids = np.asarray(Image.open(io.BytesIO(member.read())))
    assert (ids == LABELS).all()
