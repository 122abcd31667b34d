"""The library has no asserts, prints, logging, global state or unfinished code."""

import ast
import re

import pytest

from tests.style.source import LIBRARY, Module, imports, modules, sample

LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")


def unmannered(module: Module) -> list[str]:
    """Statements that library code must not contain."""
    talks = module.path.name == "__main__.py"  # the command line is there to print
    found = []
    for item in ast.walk(module.tree):
        what = None
        if isinstance(item, ast.Assert):
            what = "assert; raise a ValueError that names the remedy"
        elif isinstance(item, ast.Call) and ast.unparse(item.func) in ("print", "breakpoint") and not talks:
            what = "print; return the value"
        elif isinstance(item, ast.Global):
            what = "global; pass the state"
        elif isinstance(item, ast.ExceptHandler) and item.type is None:
            what = "bare except; name what may fail"
        if what:
            found.append(f"{module.path}:{item.lineno}: {what}")
    for line, name in imports(module):
        if name.split(".")[0] == "logging" or name.startswith(("absl.logging", "absl.flags")):
            found.append(f"{module.path}:{line}: imports {name}; the library neither logs nor reads flags")
    return found


def unfinished(module: Module) -> list[str]:
    """Marks of unfinished work."""
    return [
        f"{module.path}:{number}: {line.strip()}"
        for number, line in enumerate(module.text.splitlines(), 1)
        if LATER.search(line)
    ]


def test_library_has_manners():
    assert [message for module in modules() for message in unmannered(module)] == []


def test_nothing_is_put_off():
    for package in (LIBRARY, "experiments", "configs", "third_party"):
        assert [message for module in modules(package) for message in unfinished(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    assert x",
        "print(1)",
        "def f():\n    global x\n    x = 1",
        "import logging",
        "from absl import logging",
        "try:\n    f()\nexcept:\n    pass",
    ],
)
def test_bad_manners_are_found(text):
    assert unmannered(sample("compressjax/core/_a.py", text))


def test_the_command_line_may_print():
    assert unmannered(sample("compressjax/__main__.py", "print(1)")) == []
    assert unmannered(sample("compressjax/__main__.py", "assert 1"))


@pytest.mark.parametrize("mark", ["TO" + "DO: later", "FIX" + "ME", "raise Not" + "ImplementedError"])
def test_put_off_work_is_found(mark):
    assert unfinished(sample("compressjax/core/_a.py", f"x = 1  # {mark}"))
    assert unfinished(sample("compressjax/core/_a.py", "x = 1  # todos are a kind of list")) == []
