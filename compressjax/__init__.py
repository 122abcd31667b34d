"""compressjax: makes any JAX function with parameters smaller and faster, and measures the result.

The main functions are here; methods are in `prune`, `lowrank`, `quant`, `share` and `distill`. Modules are imported on
first use, so that `compressjax.coding`, which reads files with NumPy, never imports JAX.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_VERBS = {
    **dict.fromkeys(
        ("Compression", "as_optax", "chain", "compress", "from_encode", "identity", "map_values", "materialize",
         "Masks", "fit", "only", "partition", "sequence", "storage", "values", "with_values"),
        "compressjax.core",
    ),
    **dict.fromkeys(("couplings", "explain", "layouts", "lift", "observe", "prepare"), "compressjax.interpret"),
    "calibrate": "compressjax.calibration",
    "summary": "compressjax.measure",
}  # fmt: skip
_FOLDERS = frozenset(
    ("artifact", "calibration", "coding", "core", "data", "distill", "federated", "generate", "gradients",
     "interpret", "lowrank", "measure", "modules", "numerics", "precision", "prune", "quant", "recipe", "saliency",
     "search", "share", "structure", "tensors", "testing", "theory")
)  # fmt: skip

__all__ = sorted([*_VERBS, *_FOLDERS, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        return importlib.import_module(f"compressjax.{name}")
    if name in _VERBS:
        return getattr(importlib.import_module(_VERBS[name]), name)
    raise AttributeError(f"compressjax has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
