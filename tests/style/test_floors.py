"""Imports only go down the floors of docs/architecture.md."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pytest

from tests.style.source import LIBRARY, ROOT, Module, imports, modules, sample

OUTSIDE = ("experiments", "configs", "tests", "third_party")


class Floor(NamedTuple):
    """A row of the table: the number, what its folders may import of the library, and whether jax is closed to it."""

    number: int
    allowed: frozenset[str]
    jax: bool


def floors(text: str) -> dict[str, Floor]:
    """Reads the table of floors: `| number | folders | may import |`."""
    rows = re.findall(r"^\|\s*(\d+)\s*\|([^|]*)\|([^|]*)\|\s*$", text, re.MULTILINE)
    numbers = {folder: int(n) for n, cell, _ in rows for folder in re.findall(r"[a-z_]+", cell)}
    table = {}
    for n, cell, may in rows:
        words = set(re.findall(r"[a-z_]+", may))
        below = {folder for folder, other in numbers.items() if other < int(n)}
        allowed = below if "below" in words else below & words
        for folder in re.findall(r"[a-z_]+", cell):
            table[folder] = Floor(int(n), frozenset(allowed | {folder}), "no jax" not in may)
    return table


def climbing(module: Module, table: Mapping[str, Floor]) -> list[str]:
    """Imports that a module's floor does not allow."""
    if not module.folder:
        return []  # the root only names what lies below, lazily; `__main__` is the top
    if module.folder not in table:
        return [f"{module.path}: folder {module.folder!r} has no row in the floors table of docs/architecture.md"]
    floor = table[module.folder]
    found = []
    for line, name in imports(module):
        head, _, rest = name.partition(".")
        if head == LIBRARY and rest.split(".")[0] not in floor.allowed:
            found.append(f"{module.path}:{line}: imports {name}; {module.folder} may import {sorted(floor.allowed)}")
        if head in OUTSIDE:
            found.append(f"{module.path}:{line}: the library imports {name}, which is not part of it")
        if not floor.jax and head in ("jax", "jaxlib", "flax", "optax", "orbax", "ml_dtypes"):
            found.append(f"{module.path}:{line}: {module.folder} imports {name}; it must load without JAX")
    return found


def private(module: Module) -> list[str]:
    """Imports of private names of other projects."""
    return [
        f"{module.path}:{line}: imports {name}, private to {name.partition('.')[0]}"
        for line, name in imports(module)
        if name.partition(".")[0] not in (LIBRARY, *OUTSIDE)
        and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ] + [f"{module.path}: speaks of jax._src" for _ in re.findall(r"\bjax\._src\b", module.text)]


def cycles(files: Iterable[Module]) -> list[str]:
    """Cyclic imports."""
    files = list(files)
    names = {module.name for module in files}

    def target(name: str) -> str | None:
        return name if name in names else (name.rpartition(".")[0] if name.rpartition(".")[0] in names else None)

    graph = {m.name: {t for _, name in imports(m) if (t := target(name)) and t != m.name} for m in files}
    state: dict[str, int] = {}
    found: list[str] = []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if state.get(name) == 1:
            found.append(" -> ".join((*trail[trail.index(name) :], name)))
        if name in state:
            return
        state[name] = 1
        for other in sorted(graph[name]):
            visit(other, (*trail, name))
        state[name] = 2

    for name in sorted(graph):
        visit(name, ())
    return found


def architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_imports_go_down():
    table = floors(architecture())
    assert [message for module in modules() for message in climbing(module, table)] == []


def test_every_floor_is_read_from_the_table():
    table = floors(architecture())
    assert {"core", "coding", "tensors", "interpret", "measure", "recipe", "gradients"} <= set(table)
    assert not table["coding"].jax
    assert table["core"].jax
    assert table["prune"].number == table["quant"].number


def test_nothing_private_is_imported():
    assert [m for package in (LIBRARY, *OUTSIDE[:2]) for module in modules(package) for m in private(module)] == []


def test_no_cycles():
    assert cycles(modules()) == []


TABLE = """
| 0 | `core` | jax, optax |
| 0 | `coding` | NumPy (no jax) |
| 1 | `tensors` | core |
| 3 | `prune quant` | core, tensors |
| 4 | `measure` | floors below |
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/_a.py", "from compressjax.tensors import Masked"),
        ("core/_a.py", "def f():\n    import compressjax.tensors._masked"),
        ("core/_a.py", "from ..tensors import Masked"),
        ("prune/_a.py", "from compressjax.quant import fake_quant"),
        ("prune/_a.py", "from compressjax import lift"),
        ("prune/_a.py", "from compressjax.coding import pack"),
        ("coding/_a.py", "import jax.numpy as jnp"),
        ("coding/_a.py", "from jax import numpy"),
        ("measure/_a.py", "from experiments import app"),
        ("elsewhere/_a.py", ""),
    ],
)
def test_climbing_is_found(path, text):
    assert climbing(sample(f"compressjax/{path}", text), floors(TABLE))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("measure/_a.py", "from compressjax.prune import gradual\nfrom compressjax.coding import pack\nimport jax"),
        ("prune/_a.py", "from compressjax.prune.schedules._schedule import cubic\nfrom . import _other"),
        ("coding/_a.py", "import numpy, constriction, hashlib"),
        ("__init__.py", "import compressjax.measure"),
    ],
)
def test_going_down_is_allowed(path, text):
    assert climbing(sample(f"compressjax/{path}", text), floors(TABLE)) == []


@pytest.mark.parametrize("text", ["from jax._src import core", "import flax.core._x", "x = jax._src.core.Primitive"])
def test_private_imports_are_found(text):
    assert private(sample("compressjax/core/_a.py", text))


def test_own_private_files_are_not_private():
    assert private(sample("compressjax/core/_a.py", "from compressjax.core._b import c\nimport jax.numpy")) == []


def test_a_cycle_is_found():
    a = sample("compressjax/core/_a.py", "from compressjax.core._b import x")
    b = sample("compressjax/core/_b.py", "def f():\n    from compressjax.core import _a")
    assert cycles([a, b]) == ["compressjax.core._a -> compressjax.core._b -> compressjax.core._a"]
    assert cycles([a]) == []
