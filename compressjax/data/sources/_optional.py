"""Packages that only some sources need."""

import importlib
from typing import Any


def optional(module: str, extra: str) -> Any:
    """A module of an extra, imported on first use."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package} is not installed; this source needs it: pip install 'compressjax[{extra}]'", name=package
        ) from error
