"""Every public name is documented and annotated, and its sources are in the bibliography."""

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from tests.style.source import LIBRARY, ROOT, Module, functions, imports, modules, sample

Definition = ast.FunctionDef | ast.ClassDef


def exported(package: Module) -> list[str]:
    """The names in `__all__`."""
    for statement in package.tree.body:
        if isinstance(statement, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in statement.targets):
            return [e.value for e in getattr(statement.value, "elts", []) if isinstance(e, ast.Constant)]
    return []


def public(files: Sequence[Module]) -> list[tuple[Module, Definition]]:
    """Definitions that a folder's `__init__` exports, anywhere below it."""
    found = []
    for package in (m for m in files if m.is_package and m.folder):
        names = set(exported(package))
        source = {name.rpartition(".")[2]: name.rpartition(".")[0] for _, name in imports(package)}
        for module in (m for m in files if m.name == package.name or m.name.startswith(f"{package.name}.")):
            for item in module.tree.body:
                here = getattr(item, "name", "") in names and source.get(item.name, module.name) == module.name
                if here and isinstance(item, ast.FunctionDef | ast.ClassDef):
                    found.append((module, item))
    return found


def arguments(function: ast.FunctionDef) -> list[ast.arg]:
    """The arguments of a function, `self` and `cls` excepted."""
    a = function.args
    every = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs, *([a.kwarg] if a.kwarg else [])]
    return [arg for arg in every if arg.arg not in ("self", "cls")]


def is_record(item: ast.ClassDef) -> bool:
    """Whether a class is a NamedTuple, a Protocol, an exception or a warning: types, which need no example."""
    bases = {ast.unparse(base).rpartition(".")[2] for base in item.bases}
    return bool(bases & {"NamedTuple", "Protocol", "Exception", "ValueError", "UserWarning"}) or item.name == "Node"


def private(files: Sequence[Module]) -> list[tuple[Module, ast.FunctionDef]]:
    """Functions at the top of files that no `__init__` exports."""
    known = {(module.path, item.name) for module, item in public(files)}
    return [(module, item) for module in files for item in module.tree.body
            if isinstance(item, ast.FunctionDef) and (module.path, item.name) not in known]  # fmt: skip


def longwinded(module: Module, item: ast.FunctionDef) -> list[str]:
    """Sections in the docstring of a private function: its sentence and its annotations say enough."""
    found = re.findall(r"^(Args|Returns|Yields|Raises|Example):", ast.get_docstring(item) or "", re.MULTILINE)
    return [f"{module.path}:{item.lineno}: {item.name} is private; drop {', '.join(found)}"] if found else []


def undocumented(module: Module, item: Definition) -> list[str]:
    """Missing parts of a public definition's docstring."""
    where = f"{module.path}:{item.lineno}: {item.name}"
    text = ast.get_docstring(item)
    if not text:
        return [f"{where} has no docstring"]
    found = []
    if not text.split("\n\n")[0].rstrip().endswith((".", ":")):
        found.append(f"{where}: the first paragraph of the docstring is not a sentence")
    if isinstance(item, ast.ClassDef):
        if not is_record(item) and ">>>" not in text:
            found.append(f"{where} has no example")
        for method in item.body:
            if isinstance(method, ast.FunctionDef) and method.name[0] != "_" and not ast.get_docstring(method):
                found.append(f"{module.path}:{method.lineno}: {item.name}.{method.name} has no docstring")
        return found
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    for arg in arguments(item):
        if not section or not re.search(rf"^\s+\*{{0,2}}{arg.arg}(?:,|:|\s)", section[1], re.MULTILINE):
            found.append(f"{where}: argument {arg.arg!r} is not under Args")
    if not (item.returns and ast.unparse(item.returns) == "None") and not re.search(
        r"^(Returns|Yields):", text, re.MULTILINE
    ):
        found.append(f"{where}: no Returns section")
    if ">>>" not in text:
        found.append(f"{where} has no example")
    return found


def unannotated(module: Module) -> list[str]:
    """Functions with an argument or a result without an annotation."""
    found = []
    for function in functions(module):
        bare = [arg.arg for arg in arguments(function) if arg.annotation is None]
        if bare or function.returns is None:
            found.append(f"{module.path}:{function.lineno}: {function.name} lacks annotations: {bare or 'the result'}")
    return found


def repeated(bibliography: str) -> list[str]:
    """Keys of a bibliography that stand more than once."""
    keys = Counter(re.findall(r"^@\w+{([^,]+),", bibliography, re.MULTILINE))
    return [key for key, times in keys.items() if times > 1]


def uncited(module: Module, bibliography: str) -> list[str]:
    """arXiv numbers in a module that the bibliography does not hold."""
    cited = re.findall(r"(?i)arxiv[:\s/.org]*(?:abs/)?(\d{4}\.\d{4,5})", module.text)
    return [f"{module.path}: arXiv:{number} is not in references.bib" for number in cited if number not in bibliography]


def shadowed(files: Sequence[Module]) -> list[str]:
    """Modules that share their name with a public name of their folder."""
    exports = {m.name: set(exported(m)) for m in files if m.is_package}
    found = []
    for module in files:
        package, _, stem = module.name.rpartition(".")
        if package != LIBRARY and not module.is_package and stem in exports.get(package, ()):
            found.append(f"{module.path}: the module hides the public name {stem}; call it _{stem}.py")
    return found


def test_public_names_are_documented():
    assert [message for module, item in public(modules()) for message in undocumented(module, item)] == []


def test_public_names_are_found_at_all():
    names = {item.name for _, item in public(modules())}
    assert {"chain", "Compression", "Masked", "interleaved", "couplings"} <= names


def test_private_functions_have_short_docstrings():
    assert [message for module, item in private(modules()) for message in longwinded(module, item)] == []


def test_every_module_has_a_docstring():
    for package in (LIBRARY, "experiments", "configs", "tests", "third_party"):
        assert [str(m.path) for m in modules(package) if m.text.strip() and not ast.get_docstring(m.tree)] == []


def test_everything_is_annotated():
    assert [message for module in modules() for message in unannotated(module)] == []


def test_sources_are_in_the_bibliography():
    path = ROOT / LIBRARY / "references.bib"
    bibliography = path.read_text(encoding="utf-8")
    assert [message for module in modules() for message in uncited(module, bibliography)] == []
    assert repeated(bibliography) == []


def test_no_module_hides_a_public_name():
    assert shadowed(modules()) == []


GOOD = '''
def f(x: int, *rest: int) -> int:
    """Adds.

    Args:
        x: Number.
        *rest: Numbers.

    Returns:
        The sum.

    Example:
        >>> f(1)
        1
    """
'''


def definition(text: str) -> tuple[Module, Definition]:
    module = sample("compressjax/core/_a.py", text)
    return module, module.tree.body[0]


def test_a_good_docstring_passes():
    assert undocumented(*definition(GOOD)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"Adds.": "Adds"},
        {"    x: Number.\n": ""},
        {"        *rest: Numbers.\n": ""},
        {"Returns:": "Gives:"},
        {">>>": ">>"},
        {"Args:": "Arguments:"},
    ],
)
def test_each_missing_part_is_found(change: Mapping[str, str]):
    text = GOOD
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    assert undocumented(*definition(text))


def test_a_long_docstring_is_for_public_names():
    package = sample("compressjax/core/__init__.py", "__all__ = ['g']")
    file = sample("compressjax/core/_a.py", GOOD + "\n\ndef g() -> None: ...")
    assert [longwinded(*item) for item in private([package, file])] == [
        ["compressjax/core/_a.py:2: f is private; drop Args, Returns, Example"]
    ]
    assert private([sample("compressjax/core/__init__.py", "__all__ = ['f', 'g']"), file]) == []


@pytest.mark.parametrize(
    "text",
    [
        "def f() -> None: ...",
        "class A: ...",
        'class A:\n    """A thing."""',
        'class A:\n    """A thing.\n\n    >>> A()\n    """\n    def m(self) -> None: ...',
    ],
)
def test_undocumented_definitions_are_found(text):
    assert undocumented(*definition(text))


def test_missing_annotations_are_found():
    assert unannotated(sample("a/b.py", "def f(x) -> int: ..."))
    assert unannotated(sample("a/b.py", "def f(x: int): ..."))
    assert unannotated(sample("a/b.py", "def f(*a, **k: int) -> int: ..."))
    assert unannotated(sample("a/b.py", "def f(self, x: int) -> int: ...")) == []


@pytest.mark.parametrize("text", ["arXiv:1506.02626", "https://arxiv.org/abs/1506.02626", "ArXiv 1506.02626"])
def test_a_missing_source_is_found(text):
    assert uncited(sample("a/b.py", f'"""{text}"""'), "eprint = {2001.00001}")
    assert uncited(sample("a/b.py", f'"""{text}"""'), "eprint = {1506.02626}") == []


def test_a_repeated_source_is_found():
    assert repeated("@book{a,\n}\n@misc{b,\n}\n@book{a,\n}\n") == ["a"]


def test_a_hiding_module_is_found():
    package = sample("compressjax/quant/__init__.py", "__all__ = ['gptq']")
    assert shadowed([package, sample("compressjax/quant/gptq.py", "")])
    assert shadowed([package, sample("compressjax/quant/_gptq.py", "")]) == []


def test_public_reads_all():
    package = sample("compressjax/quant/__init__.py", "__all__ = ['gptq']")
    file = sample("compressjax/quant/_gptq.py", "def gptq(): ...\ndef other(): ...")
    assert [item.name for _, item in public([package, file])] == ["gptq"]
