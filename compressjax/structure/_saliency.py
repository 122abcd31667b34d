"""How much a unit matters: a saliency of weights, gathered over everything that a cut would remove."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compressjax.core import check_finite, values
from compressjax.interpret import Group
from compressjax.saliency import Saliency, batch_norm, magnitude, unit_scores

_NAMED: dict[str, Callable[[], Saliency]] = {
    "l1": magnitude,
    "l2": lambda: magnitude()._replace(reduce="norm"),
    "magnitude": magnitude,
    "norm_scale": batch_norm,
}


def named(saliency: Any) -> Saliency:
    """A saliency from its name, from itself, or from scores `{path: array}`, which are summed."""
    if isinstance(saliency, Saliency):
        return saliency
    if isinstance(saliency, str):
        if saliency not in _NAMED:
            raise ValueError(f"saliency={saliency!r} is unknown; use one of {sorted(_NAMED)}, any of "
                             "compressjax.saliency, or scores")  # fmt: skip
        return _NAMED[saliency]()
    return Saliency(lambda params, stats=None: saliency, "scores")


def score_units(groups: Sequence[Group], params: Any, saliency: Saliency, stats: Any = None) -> dict[str, np.ndarray]:
    """Scores of all units: the saliency's reduction over every entry that a cut of the unit would remove."""
    scores, flat = saliency.score(params, stats), values(params)
    for path, entries in scores.items():
        if path not in flat or np.shape(entries) != flat[path].shape:
            raise ValueError(f"scores at {path!r} have shape {np.shape(entries)}; the tree has "
                             f"{flat[path].shape if path in flat else 'no such leaf'}")  # fmt: skip
        check_finite("shrink", path, entries, "scores", "nothing ranks units by them: mend the weights or the loss")
    return unit_scores(scores, {group.name: group.members for group in groups}, saliency.reduce)
