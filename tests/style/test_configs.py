"""Every config loads, is data only, documents its command, and has a `smoke` form."""

import ast
import importlib.util
import pathlib
import types

import ml_collections
import pytest

from tests.style.source import ROOT, Module, modules, sample

# A file without `get_config` holds what several configs share.
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.py") if "def get_config" in path.read_text())


def load(path: pathlib.Path) -> types.ModuleType:
    """Imports a config file the way `config_flags` does: by path."""
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wordless(module: Module) -> list[str]:
    """Config files whose docstring lacks the command that runs them."""
    text = ast.get_docstring(module.tree) or ""
    return [] if "python -m experiments." in text else [f"{module.path}: its docstring does not say how to run it"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_loads_and_has_a_smoke_form(path):
    module = load(path)
    full, smoke = module.get_config(), module.get_config("smoke")
    assert isinstance(full, ml_collections.ConfigDict)
    assert set(full) == set(smoke)
    assert full.to_json() != smoke.to_json()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_refuses_an_unknown_argument(path):
    with pytest.raises(ValueError, match="smoke"):
        load(path).get_config("no-such-argument")


def test_there_are_configs():
    assert CONFIGS


def test_configs_say_how_they_are_run():
    configs = [module for module in modules("configs") if "def get_config" in module.text]
    assert [message for module in configs for message in wordless(module)] == []


def test_a_wordless_config_is_found():
    assert wordless(sample("configs/a.py", '"""Digits."""'))
    assert wordless(sample("configs/a.py", "")) != []
    assert wordless(sample("configs/a.py", '"""Digits: python -m experiments.compress"""')) == []
