"""A test draws the same numbers, whichever tests ran before it in the process."""

import ast

import pytest

from tests.style.source import Module, functions, modules, sample

GENERATORS = ("default_rng", "RandomState")


def shared(module: Module) -> list[str]:
    """Functions that draw from a generator of the whole file."""
    held = {
        target.id
        for item in module.tree.body
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call)
        if ast.unparse(item.value.func).split(".")[-1] in GENERATORS
        for target in item.targets
        if isinstance(target, ast.Name)
    }
    return [
        f"{module.path}:{item.lineno}: draws from {item.id}, which other tests draw from; take the fixture draw"
        for function in functions(module)
        for item in ast.walk(function)
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load) and item.id in held
    ]


def test_no_test_draws_what_others_leave():
    assert [message for module in modules("tests") for message in shared(module)] == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("D = np.random.default_rng(0)\ndef test_a():\n    D.normal()", 1),
        ("D = np.random.default_rng(0)\nX = D.normal()\ndef test_a():\n    assert X", 0),
        ("def test_a():\n    D = np.random.default_rng(0)\n    D.normal()", 0),
    ],
)
def test_checker(text, count):
    assert len(shared(sample("tests/test_made_up.py", text))) == count
