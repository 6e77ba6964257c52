"""The archive that VOC's evaluation server takes (competition 6: segmentation, own data)."""

import gzip
import tarfile
from pathlib import Path

VOC_TEST_FOLDER = Path("results/VOC2012/Segmentation/comp6_test_cls")
"""Where the server looks for the masks, inside the archive."""


def write_voc_archive(mask_folder: Path, path: Path) -> None:
    """Packs palette PNGs under the server's folder name; equal masks give equal bytes.

    Args:
        mask_folder: Folder of `<image id>.png`.
        path: The `.tgz` file to write.
    """

    def without_owner_and_time(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode = 0o644
        return member

    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for mask in sorted(mask_folder.glob("*.png")):
            archive.add(mask, str(VOC_TEST_FOLDER / mask.name), filter=without_owner_and_time)
