"""Scores of units (channels, heads, neurons) from the scores of their weights."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Functions of the scores before the reduction, and of the result.
_BEFORE: Mapping[str, Callable[[Any], Any]] = {"norm": jnp.square}
_AFTER: Mapping[str, Callable[[Any], Any]] = {"norm": np.sqrt, "squared_sum": np.square}
REDUCTIONS = ("sum", "mean", "max", "norm", "squared_sum")


def unit_scores(
    scores: Mapping[str, jax.Array], groups: Mapping[Hashable, Sequence[tuple]], reduce: str = "sum"
) -> dict[Any, np.ndarray]:
    """Reduces the scores of weights to one score per unit, such as a channel.

    .. math:: S_u = \\mathrm{reduce}_{m} \\; \\mathrm{reduce}_{i \\in m, u} \\; s_i

    A unit has a slice of every coupled leaf: a column of one kernel, rows of the next, an entry of a bias.

    Args:
        scores: `{path: array}` from `Saliency.score`; members without scores are ignored.
        groups: `{name: members}`; a member is `(path, axis)`, or `(path, axis, positions)` with `positions`
            `[units, k]` where a unit has several positions of the axis, as in the groups of `couplings`.
        reduce: `"sum"`, `"mean"` (over all weights of a unit in all leaves), `"max"`, `"norm"` (Euclidean), or
            `"squared_sum"` (the square of the sum).

    Returns:
        `{name: [units]}` in float64, from sums in float32.

    Raises:
        ValueError: If no member of a group has scores, members have different numbers of units, or the reduction is
            unknown.

    Example:
        >>> scores = {"kernel": jnp.array([[1.0, 2.0], [3.0, 4.0]]), "bias": jnp.array([10.0, 20.0])}
        >>> unit_scores(scores, {"channels": [("kernel", 1), ("bias", 0)]})["channels"].tolist()
        [14.0, 26.0]

    Source: group importance of Fang et al., arXiv:2301.12900 (fang2023).
    """
    if reduce not in REDUCTIONS:
        raise ValueError(f"reduce={reduce!r} is unknown; use one of {REDUCTIONS}")
    along = _along(scores, {tuple(m[:2]) for members in groups.values() for m in members if m[0] in scores}, reduce)
    out = {}
    for name, members in groups.items():
        rows, count = [], 0
        for path, axis, *positions in (m for m in members if m[0] in scores):
            own = along[path, axis][positions[0]] if positions else along[path, axis][:, None]
            rows.append(own.max(-1) if reduce == "max" else own.sum(-1))
            count += own.shape[-1] * (scores[path].size // scores[path].shape[axis])
        if not rows:
            raise ValueError(f"group {name!r} has no scores: none of {[m[0] for m in members]} has any; leave it out "
                             "with select, or use another saliency")  # fmt: skip
        if len({len(row) for row in rows}) > 1:
            raise ValueError(f"members of group {name!r} have {[len(r) for r in rows]} units; they are coupled, so all "
                             "need the same number")  # fmt: skip
        total = np.max(rows, axis=0) if reduce == "max" else np.sum(rows, axis=0)
        out[name] = np.asarray(_AFTER.get(reduce, np.asarray)(total / count if reduce == "mean" else total))
    return out


def _along(scores: Mapping[str, Any], sides: set[Any], reduce: str) -> dict[Any, np.ndarray]:
    """Reductions over all axes except one, per path and axis, in one compiled program."""
    order, over = sorted(sides), jnp.max if reduce == "max" else jnp.sum

    def run(scores: dict[str, Any]) -> list[jax.Array]:
        wide = {path: _BEFORE.get(reduce, jnp.asarray)(jnp.asarray(x, jnp.float32)) for path, x in scores.items()}
        return [over(wide[p], axis=tuple(a for a in range(wide[p].ndim) if a != axis)) for p, axis in order]

    reduced = jax.jit(run)({path: scores[path] for path, _ in order})
    return {side: np.asarray(x, np.float64) for side, x in zip(order, reduced, strict=True)}
