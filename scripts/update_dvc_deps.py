"""Writes the code dependencies of every stage in dvc.yaml: the import closure of its module.

Run it after an import was added or removed; a test compares the two.
"""

import re
from pathlib import Path

from tests.import_closure import REPOSITORY, closure

FILES = ("dvc.yaml", "reference/dvc.yaml")
BEGIN = re.compile(r"^( *)# code: (stages\.\w+)$")
END = "# end of code"


def update(path: Path) -> None:
    """Rewrites the lists between `# code: MODULE` and `# end of code`."""
    lines: list[str] = []
    inside = False
    for line in path.read_text(encoding="utf-8").splitlines():
        begin = BEGIN.match(line)
        if line.strip() == END:
            inside = False
        if not inside:
            lines.append(line)
        if begin:
            inside = True
            indent, module = begin.groups()
            lines += [f"{indent}- {file}" for file in closure(module)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in FILES:
        update(REPOSITORY / name)
