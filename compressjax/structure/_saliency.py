"""Scores of units: a saliency of weights, reduced over all weights of a unit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compressjax.core import values
from compressjax.core._checks import check_finite
from compressjax.interpret import Group
from compressjax.saliency import Saliency, batch_norm, magnitude, unit_scores

_NAMED: dict[str, Callable[[], Saliency]] = {
    "l1": magnitude,
    "l2": lambda: magnitude()._replace(reduce="norm"),
    "magnitude": magnitude,
    "norm_scale": batch_norm,
}


def named(saliency: Any) -> Saliency:
    """Returns a saliency from its name, from itself, or from scores `{path: array}`, which are summed."""
    if isinstance(saliency, Saliency):
        return saliency
    if isinstance(saliency, str):
        if saliency not in _NAMED:
            raise ValueError(f"saliency={saliency!r} is unknown; use one of {sorted(_NAMED)}, any of "
                             "compressjax.saliency, or scores")  # fmt: skip
        return _NAMED[saliency]()
    return Saliency(lambda params, stats=None: saliency, "scores")


def score_units(groups: Sequence[Group], params: Any, saliency: Saliency, stats: Any = None) -> dict[str, np.ndarray]:
    """Returns scores of all units: the reduction of the saliency over all entries of a unit."""
    scores, flat = saliency.score(params, stats), values(params)
    for path, entries in scores.items():
        if path not in flat or np.shape(entries) != flat[path].shape:
            raise ValueError(f"scores at {path!r} have shape {np.shape(entries)}; the tree has "
                             f"{flat[path].shape if path in flat else 'no such leaf'}")  # fmt: skip
        check_finite("shrink", path, entries, "scores", "they cannot rank units: fix the weights or the loss")
    return unit_scores(scores, {group.name: group.members for group in groups}, saliency.reduce)
