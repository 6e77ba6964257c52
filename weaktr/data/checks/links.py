"""Links in a data set's folder that DVC and readers would not take for the same."""

import os
import shlex
from pathlib import Path

from weaktr.data.readers.listing import Listing
from weaktr.data.readers.walk import is_system_folder, leads_up


def check_links(listing: Listing, root: str | Path) -> None:
    """Notes links below the root that DVC cannot follow; the root itself may be one.

    DVC follows links to files. It does not look into linked folders, so that a changed image there
    would rerun nothing, and it stops at a link that leads nowhere. Links to a folder above
    themselves are followed by nobody. What is hidden is left alone.

    Args:
        listing: Takes the problems.
        root: The data set's folder.
    """
    root = Path(root)
    folders, broken = [], []
    for place, names, files in os.walk(root):
        here = Path(place)
        names[:] = sorted(name for name in names if not is_system_folder(name))
        folders += [
            here / name
            for name in names
            if (here / name).is_symlink() and not leads_up(here / name, root)
        ]
        broken += [here / name for name in sorted(files) if _leads_nowhere(here / name)]
    if folders:
        listing.error(
            "linked-folder",
            f"{folders[0]} is a link to a folder{_and_more(folders)}: DVC does not look into it, "
            "so that a changed image there would rerun nothing; make dataset.root itself the link, "
            f"or put a folder of linked files in its place ({_mend(folders[0])}).",
        )
    if broken:
        listing.error(
            "broken-link",
            f"{broken[0]} is a link that leads nowhere{_and_more(broken)}, at which DVC stops; "
            f"remove it, or put back {os.readlink(broken[0])}.",  # noqa: PTH115 (as it is written)
        )


def _mend(folder: Path) -> str:
    """The command that replaces a linked folder by one of links to its files."""
    place, target = shlex.quote(str(folder)), shlex.quote(str(folder.resolve()))
    return f"rm {place} && cp -rs {target} {place}"


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.name.startswith(".") and not path.exists()


def _and_more(paths: list[Path]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
