"""Every file of the library has its test, and method files start with an underscore."""

import pathlib
from collections.abc import Sequence

from tests.style.source import ROOT, Module, modules, sample

# Folders whose files are methods or nodes, each exported by a function or class that could share the file's name.
METHODS = ("tensors", "prune", "lowrank", "quant", "share", "distill", "measure", "theory", "modules")


def mirror(module: Module) -> pathlib.Path:
    """The test file of a module: `tests/quant/test_fake.py` for `compressjax/quant/_fake.py`."""
    inner = module.path.relative_to("compressjax")
    return pathlib.Path("tests") / inner.parent / f"test_{inner.stem.strip('_')}.py"


def untested(files: Sequence[Module], tests: set[pathlib.Path]) -> list[str]:
    """Modules without a test file of their own; an `__init__` only exports."""
    return [f"{m.path}: no {mirror(m)}" for m in files if not m.is_package and mirror(m) not in tests]


def misnamed(files: Sequence[Module]) -> list[str]:
    """Method files without the underscore."""
    return [
        f"{m.path}: name it _{m.path.name}"
        for m in files
        if m.folder in METHODS and not m.is_package and not m.path.name.startswith("_")
    ]


def test_every_file_has_a_test():
    tests = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    assert untested(modules(), tests) == []


def test_method_files_start_with_an_underscore():
    assert misnamed(modules()) == []


def test_a_missing_test_is_found():
    module = sample("compressjax/quant/_fake.py", "")
    assert untested([module], set())
    assert untested([module], {pathlib.Path("tests/quant/test_fake.py")}) == []
    assert untested([sample("compressjax/__main__.py", "")], {pathlib.Path("tests/test_main.py")}) == []


def test_a_misnamed_file_is_found():
    assert misnamed([sample("compressjax/quant/fake.py", "")])
    assert misnamed([sample("compressjax/quant/_fake.py", ""), sample("compressjax/core/tree.py", "")]) == []
