"""One digest per stage of the code that can change its outputs.

A stage depends on the modules that its own module imports, at any depth, also inside functions. Of
each it is the meaning that counts, the syntax tree without comments, docstrings and layout. Stages
name their digest as a param in `dvc.yaml`, and checkpoints are kept under it.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from weaktr.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("weaktr", "stages")
CHANGES_NO_OUTPUT = ("weaktr", "weaktr.errors", "weaktr.progress", "stages.common.words")
"""The face of the API with the version, the class of errors, progress bars, words."""


def code_digest(module: str) -> str:
    """Hex digest (blake2b, 64 bits) of the code that a module runs.

    Args:
        module: Such as `stages.train_cam`.
    """
    total = hashlib.blake2b(digest_size=8)
    for name in closure(module):
        total.update(f"{name}\0{_meaning(name)}\0".encode())
    return total.hexdigest()


def closure(module: str) -> list[str]:
    """A module and all of the project's modules that it imports, at any depth, by name.

    Imports under `if TYPE_CHECKING` do not count, as they never run.
    """
    seen = set(CHANGES_NO_OUTPUT)
    queue = [module]
    found = []
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            found.append(name)
            queue += _imports(name)
            queue += [name.rpartition(".")[0]] * ("." in name)  # importing a.b runs a/__init__.py
    return sorted(found)


def source_of(module: str) -> Path:
    """The file of a module of the project."""
    base = ROOT.joinpath(*module.split("."))
    package = base / "__init__.py"
    return package if package.is_file() else base.with_suffix(".py")


def forget_sources() -> None:
    """Lets the next digest read the files again."""
    for known in (_tree, _imports, _meaning):
        known.cache_clear()


@cache
def _tree(module: str) -> ast.Module:
    path = source_of(module)
    if not path.is_file():
        raise UserError(
            f"{path.with_suffix('')} has no __init__.py; add one, or remove the folder."
        )
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise UserError(
            f"{path} line {error.lineno} is not Python ({error.msg}); mend it."
        ) from None
    cleaned = _WithoutWords().visit(tree)
    assert isinstance(cleaned, ast.Module)
    return cleaned


@cache
def _imports(module: str) -> list[str]:
    """The project's modules that a module's source names in import statements."""
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise UserError(
                    f"{source_of(module)} line {node.lineno}: imports are absolute in this "
                    "project; name the whole module."
                )
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            if node.module == "weaktr":  # its names are looked up in the API when asked for
                names.append("weaktr.api")
    own = [name for name in names if name.split(".")[0] in PACKAGES]
    return [name for name in own if source_of(name).is_file()]


@cache
def _meaning(module: str) -> str:
    return "".join(_flat(_tree(module)))


def _flat(node: Any) -> Iterator[str]:
    """A syntax tree as text that is the same in every version of Python that can parse it.

    `ast.dump` is not: new versions add fields, and leave out empty ones.
    """
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in sorted(ast.iter_fields(node)):
            if value not in (None, []) and name not in ("kind", "type_comment"):
                yield f" {name}="
                yield from _flat(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _flat(item)
            yield ","
        yield "]"
    else:
        yield repr(node)


class _WithoutWords(ast.NodeTransformer):
    """Takes out what does nothing when it runs: docstrings, and what is for type checkers only.

    Annotations inside of class bodies stay: dataclasses and params are made of them.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        value = node.value
        is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        visited = self.generic_visit(node)
        assert isinstance(visited, ast.If)
        return visited.orelse if _is_type_checking(visited.test) else visited

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [alias for alias in node.names if alias.name != "TYPE_CHECKING"]
        return node if node.names else None

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _is_type_checking(test: ast.expr) -> bool:
    """`TYPE_CHECKING` or `typing.TYPE_CHECKING`."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"
