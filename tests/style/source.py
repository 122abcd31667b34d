"""The repository's Python files as syntax trees."""

import ast
import functools
import pathlib
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = "compressjax"


class Module(NamedTuple):
    """One file: its dotted name, its text and its syntax tree."""

    name: str
    path: pathlib.Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return parsed(self.text)

    @property
    def is_package(self) -> bool:
        """Whether the file is an `__init__.py`."""
        return self.path.name == "__init__.py"

    @property
    def folder(self) -> str:
        """The library folder of the file, or '' for the root."""
        parts = self.path.parts
        return parts[1] if len(parts) > 2 else ""


@functools.cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a text; `conftest.py` drops what is kept here when the checks are done."""
    return ast.parse(text)


@functools.cache
def modules(package: str = LIBRARY) -> tuple[Module, ...]:
    """Every module below a folder of the repository."""
    paths = sorted((ROOT / package).rglob("*.py"))
    return tuple(sample(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in paths)


def sample(path: str, text: str) -> Module:
    """A module from a path relative to the root and its text; checkers are tested with made-up ones."""
    relative = pathlib.Path(path)
    parts = relative.with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return Module(".".join(parts), relative, text)


@functools.cache
def imports(module: Module) -> tuple[tuple[int, str], ...]:
    """Line and absolute dotted name of everything a module imports, at any depth of the file."""
    found: list[tuple[int, str]] = []
    package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
    for item in ast.walk(module.tree):
        if isinstance(item, ast.Import):
            found += [(item.lineno, alias.name) for alias in item.names]
        elif isinstance(item, ast.ImportFrom):
            above = package[: len(package) - item.level + 1] if item.level else []
            base = ".".join([*above, *([item.module] if item.module else [])])
            found += [(item.lineno, f"{base}.{alias.name}") for alias in item.names]
    return tuple(found)


def functions(module: Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module, nested ones included."""
    return [n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
