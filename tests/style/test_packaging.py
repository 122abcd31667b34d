"""Every import is a requirement, and all versions agree."""

import ast
import re
import sys
from collections.abc import Collection, Sequence

import compressjax
from tests.style.source import LIBRARY, ROOT, Module, imports, modules, sample

# Distributions whose import name differs from their own.
DISTRIBUTIONS = {"absl": "absl-py", "orbax": "orbax-checkpoint", "sklearn": "scikit-learn", "PIL": "pillow"}
OURS = {LIBRARY, "experiments", "configs", "tests", "third_party"}


def requirements(text: str, group: str) -> set[str]:
    """Names in one of the lists of setup.py."""
    for item in ast.parse(text).body:
        if isinstance(item, ast.Assign) and any(getattr(target, "id", "") == group for target in item.targets):
            return {canonical(re.split(r"[<>=!~]", requirement)[0]) for requirement in ast.literal_eval(item.value)}
    return set()


def canonical(name: str) -> str:
    """A distribution's normalized name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(files: Sequence[Module], required: Collection[str]) -> list[str]:
    """Imports of distributions that are not required."""
    found = []
    for module in files:
        for line, name in imports(module):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in OURS:
                continue
            if canonical(DISTRIBUTIONS.get(top, top)) not in required:
                found.append(f"{module.path}:{line}: imports {top}, which setup.py does not require")
    return found


def unbounded(text: str) -> list[str]:
    """Requirements without a lower bound."""
    names = [e.value for e in ast.walk(ast.parse(text)) if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    return [name for name in names if re.fullmatch(r"[A-Za-z][\w-]*[<=!~][^>]*", name)]


def setup() -> str:
    return (ROOT / "setup.py").read_text(encoding="utf-8")


def test_the_library_requires_what_it_imports():
    assert missing(modules(), requirements(setup(), "INSTALL")) == []


def test_the_experiments_require_what_they_import():
    groups = ("INSTALL", "EXPERIMENTS", "REPRODUCE")
    required = set().union(*(requirements(setup(), group) for group in groups))
    assert missing([*modules("experiments"), *modules("configs")], required) == []


def test_the_tests_require_what_they_import():
    groups = ("INSTALL", "EXPERIMENTS", "TEST")
    assert missing(modules("tests"), set().union(*(requirements(setup(), group) for group in groups))) == []


def test_adapters_require_their_peers():
    required = requirements(setup(), "INSTALL") | requirements(setup(), "PARITY")
    assert missing(modules("third_party"), required) == []


def test_requirements_have_lower_bounds():
    assert unbounded(setup()) == []
    assert unbounded("x = ['jax<1', 'optax>=1', 'a sentence']") == ["jax<1"]


def test_versions_agree():
    stated = re.search(r'version="([\d.]+)"', setup())[1]
    citation = re.search(r"^version: ([\d.]+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert stated == citation == compressjax.__version__
    assert stated in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_missing_requirement_is_found():
    module = sample(
        "compressjax/core/_a.py", "import jax.numpy\nfrom sklearn import cluster\nimport os, experiments.app"
    )
    assert missing([module], {"jax", "scikit-learn"}) == []
    assert len(missing([module], {"jax"})) == 1
    assert len(missing([module], {"scikit-learn"})) == 1
    assert requirements("A = ['ml_collections>=1,<2']", "A") == {"ml-collections"}
