"""Packages that only some experiments need."""

import importlib
from typing import Any


def need(module: str, who: str, remedy: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: dotted name.
        who: what needs it, such as `--trackers: wandb`.
        remedy: what to do if it is absent.

    Returns:
        The module.

    Raises:
        ValueError: if it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{who} needs the package {module.partition('.')[0]} ({error}); {remedy}") from error
