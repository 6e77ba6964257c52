"""The project's own files that a module can run: its imports, followed to the end."""

import ast
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("weaktr", "stages")


def closure(module: str) -> list[str]:
    """Files, relative to the repository, of a module and of all that it imports, at any depth.

    Imports inside functions count, those under `if TYPE_CHECKING` do not: they never run.
    """
    seen: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        queue += imports_of(name)
        if "." in name:
            queue.append(name.rpartition(".")[0])  # importing a.b runs a/__init__.py
    return sorted(path_of(name) for name in seen)


def path_of(module: str) -> str:
    """The file of a module."""
    base = Path(*module.split("."))
    package = base / "__init__.py"
    return str(package if (REPOSITORY / package).is_file() else base.with_suffix(".py"))


@cache
def imports_of(module: str) -> list[str]:
    """The project's modules that a module's source names in import statements."""
    found: list[str] = []

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if "TYPE_CHECKING" in ast.dump(node.test):
                for other in node.orelse:
                    self.visit(other)
            else:
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            found.extend(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            assert node.level == 0, "relative imports are not used here"
            assert node.module
            found.append(node.module)
            found.extend(f"{node.module}.{alias.name}" for alias in node.names)

    Visitor().visit(ast.parse((REPOSITORY / path_of(module)).read_text(encoding="utf-8")))
    return [
        name
        for name in found
        if name.split(".")[0] in PACKAGES and (REPOSITORY / path_of(name)).is_file()
    ]
