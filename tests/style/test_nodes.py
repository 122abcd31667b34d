"""All knowledge about a node is in its file: interpreter and measures name no node."""

import ast

import pytest

from tests.style.source import Module, imports, modules, sample

FOLDERS = ("interpret", "measure")


def node_classes() -> frozenset[str]:
    """Names of the classes below `tensors` that are declared with `node`."""
    return frozenset(
        item.name
        for module in modules()
        if module.folder == "tensors"
        for item in ast.walk(module.tree)
        if isinstance(item, ast.ClassDef) and any(ast.unparse(d).endswith("node") for d in item.decorator_list)
    )


def names(module: Module, classes: frozenset[str]) -> list[str]:
    """Where a module names a node class, docstrings excepted, or imports from `tensors`."""
    found = [f"{module.path}:{line}: imports {name}" for line, name in imports(module) if ".tensors" in name]
    statements = [item for item in ast.walk(module.tree) if isinstance(item, ast.Expr)]
    docs = {id(item.value) for item in statements if isinstance(item.value, ast.Constant)}
    for item in ast.walk(module.tree):
        word = None
        if isinstance(item, ast.Name):
            word = item.id
        elif isinstance(item, ast.Attribute):
            word = item.attr
        elif isinstance(item, ast.Constant) and id(item) not in docs and isinstance(item.value, str):
            word = item.value
        if word in classes:
            found.append(f"{module.path}:{item.lineno}: names {word}; ask the node by a method instead")
    return found


def test_no_node_is_named_outside_of_tensors():
    classes = node_classes()
    assert {"Masked", "LowRank", "Quantized", "Codebook", "Sum"} <= classes
    assert [m for module in modules() if module.folder in FOLDERS for m in names(module, classes)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from compressjax.tensors import Masked",
        "from compressjax import tensors",
        "import compressjax.tensors._sum",
        "def f(x):\n    return isinstance(x, tensors.Masked)",
        "def f(x):\n    return type(x).__name__ == 'Masked'",
    ],
)
def test_naming_is_found(text):
    assert names(sample("compressjax/interpret/_a.py", text), frozenset({"Masked"}))


def test_docstrings_may_name_nodes():
    text = 'def f(x):\n    """As `Masked`.\n\n    >>> from .tensors import Masked\n    """\n    return "Masked by"'
    assert names(sample("compressjax/interpret/_a.py", text), frozenset({"Masked"})) == []
