"""How much a unit matters: scores of entries, gathered over everything that a cut would remove."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Selector, matches, values
from compressjax.interpret import Group
from compressjax.saliency import Saliency

Scores = Mapping[str, Any]  # an array for some of the leaves, entry for entry


class Rule(NamedTuple):
    """A rule that scores units.

    Attributes:
        entries: `params -> {path: scores}`, of the shapes of the arrays; leaves that are absent count zero.
        combine: From the sum over a unit's entries to its score.
        comparable: Whether scores of different groups are on one scale. If not, a global ranking divides each group's
            scores by their mean.
    """

    entries: Callable[[Any], Scores]
    combine: Callable[[np.ndarray], np.ndarray] = np.asarray
    comparable: bool = False


def l1() -> Rule:
    """Sum of absolute values of everything that belongs to a unit.

    .. math:: s_u = \\sum_{w \\in u} |w|

    Returns:
        The rule.

    Example:
        >>> l1().entries({"a": jnp.array([-2.0])})["a"].tolist()
        [2.0]

    Source: Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv:1608.08710.
    """
    return Rule(lambda params: {path: jnp.abs(x) for path, x in values(params).items()})


def l2() -> Rule:
    """Euclidean norm of everything that belongs to a unit.

    .. math:: s_u = \\sqrt{\\sum_{w \\in u} w^2}

    Returns:
        The rule.

    Example:
        >>> float(l2().combine(np.array(9.0)))
        3.0

    Source: Fang et al., DepGraph, 2023, arXiv:2301.12900.
    """
    return Rule(lambda params: {path: jnp.square(x) for path, x in values(params).items()}, np.sqrt)


def norm_scale(select: Selector = r".*\bscale") -> Rule:
    """Absolute scale of the norm that follows a unit; scales are compared over all groups.

    .. math:: s_u = \\sum_{\\gamma \\in u} |\\gamma|

    Args:
        select: Which leaves are scales.

    Returns:
        The rule; scoring raises `ValueError` for a group without a scale.

    Example:
        >>> list(norm_scale().entries({"norm/scale": jnp.ones(2), "norm/bias": jnp.ones(2)}))
        ['norm/scale']

    Source: Liu et al., Network Slimming, 2017, arXiv:1708.06519.
    """
    return Rule(
        lambda params: {path: jnp.abs(x) for path, x in values(params).items() if matches(select, path, x)},
        comparable=True,
    )


def taylor(grads: Any) -> Rule:
    """Squared first-order change of the loss when a unit is removed.

    .. math:: s_u = \\Big( \\sum_{w \\in u} w \\, \\partial L / \\partial w \\Big)^2

    Each coupled parameter counts once, so with gates or norms the sum runs over all of the unit's tensors.

    Args:
        grads: Tree of gradients; leaves that are absent or have no gradient count nothing.

    Returns:
        The rule.

    Example:
        >>> taylor({"a": jnp.array([3.0])}).entries({"a": jnp.array([2.0])})["a"].tolist()
        [6.0]

    Source: Molchanov et al., Importance Estimation for Neural Network Pruning, 2019, arXiv:1906.10771.
    """
    by_path = values(grads)

    def entries(params: Any) -> Scores:
        flat = values(params)
        return {p: x * by_path[p] for p, x in flat.items() if getattr(by_path.get(p), "shape", None) == x.shape}

    return Rule(entries, np.square, comparable=True)


_NAMED: dict[str, Callable[[], Rule]] = {"l1": l1, "l2": l2, "magnitude": l1, "norm_scale": norm_scale}


def named(saliency: Any, stats: Any = None) -> Rule:
    """A rule from its name, from a saliency of weights, or from scores.

    Args:
        saliency: `"l1"` (also called `"magnitude"`), `"l2"`, `"norm_scale"`; a `Rule`; a `saliency.Saliency`, whose
            scores are summed; scores `{path: array}`; or a function `params -> {path: scores}`.
        stats: Statistics of `observe`, for a `saliency.Saliency` that reads them.

    Returns:
        The rule.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> named("l2").comparable
        False
    """
    if isinstance(saliency, Rule):
        return saliency
    if isinstance(saliency, Saliency):
        return Rule(lambda params: saliency.score(params, stats))
    if isinstance(saliency, str):
        if saliency not in _NAMED:
            raise ValueError(f"saliency={saliency!r} is unknown; use one of {sorted(_NAMED)}, taylor(grads), or scores")
        return _NAMED[saliency]()
    return Rule(saliency if callable(saliency) else lambda params: saliency)


def score_units(groups: Sequence[Group], params: Any, saliency: Any = "l2", stats: Any = None) -> dict[str, np.ndarray]:
    """Scores of all units: sums over every entry that a cut of the unit would remove.

    Args:
        groups: Groups of `couplings`.
        params: The weights.
        saliency: `"l1"`, `"l2"`, `"norm_scale"`, a `Rule`, a `saliency.Saliency`, or scores `{path: array}`.
        stats: Statistics of `observe`, for a `saliency.Saliency` that reads them.

    Returns:
        `{group: [units]}`, nonnegative for the rules of this package.

    Raises:
        ValueError: If no member of a group has scores, or scores have another shape than their weight.

    Example:
        >>> from compressjax.interpret import couplings
        >>> p = {"a": jnp.array([[1.0, 3.0]]), "b": jnp.array([[0.0], [4.0]])}
        >>> groups = [g for g in couplings(lambda p, x: x @ p["a"] @ p["b"])(p, jnp.ones((1, 1))) if not g.frozen]
        >>> score_units(groups, p)["a:1"].tolist()
        [1.0, 5.0]
    """
    rule, flat = named(saliency, stats), values(params)
    entries = rule.entries(params)
    for path, scores in entries.items():
        if path not in flat or np.shape(scores) != flat[path].shape:
            raise ValueError(f"scores at {path!r} have shape {np.shape(scores)}; the tree has "
                             f"{flat[path].shape if path in flat else 'no such leaf'}")  # fmt: skip
    sides = {(m.path, m.axis) for group in groups for m in group.members if m.path in entries}
    along, out = sums_along(entries, sides), {}
    for group in groups:
        sums = [along[m.path, m.axis][m.positions].sum(-1) for m in group.members if m.path in entries]
        if not sums:
            raise ValueError(f"group {group.name!r} has no scores: none of {[m.path for m in group.members]} has any; "
                             "leave it out with select, or use another saliency")  # fmt: skip
        out[group.name] = np.asarray(rule.combine(np.sum(sums, axis=0)))
    return out


def sums_along(entries: Scores, sides: set[tuple[str, int]]) -> dict[tuple[str, int], np.ndarray]:
    """Sums over all axes but one, for each array and axis, in one compiled program.

    Args:
        entries: `{path: array}`.
        sides: Paths and axes.

    Returns:
        `{(path, axis): [length of the axis]}`.

    Example:
        >>> sums_along({"a": jnp.ones((2, 3))}, {("a", 1)})["a", 1].tolist()
        [2.0, 2.0, 2.0]
    """
    order = sorted(sides)

    def run(entries: dict[str, Any]) -> list[jax.Array]:
        wide = {path: jnp.asarray(x, jnp.float32) for path, x in entries.items()}
        return [jnp.sum(wide[p], axis=tuple(a for a in range(wide[p].ndim) if a != axis)) for p, axis in order]

    sums = jax.jit(run)({path: entries[path] for path, _ in order})
    return {side: np.asarray(x, np.float64) for side, x in zip(order, sums, strict=True)}
