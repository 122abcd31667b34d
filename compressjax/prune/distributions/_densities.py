"""Distributions of zeros among the leaves."""

import math
from collections.abc import Mapping
from typing import Any

import jax

from compressjax.core import Selector, matches
from compressjax.prune.patterns._checks import Distribution, check_distribution, check_sparsity

ALL = "all leaves"  # the pool of distribution "global"; not a leaf's path


def densities(
    shapes: Mapping[str, tuple[int, ...]], sparsity: float, distribution: Distribution = "uniform"
) -> dict[str, float]:
    """Returns the fraction of entries that each leaf keeps.

    `"uniform"` gives every leaf the same density. `"erk"` (Erdos-Renyi-kernel) gives a leaf with axes `d_i` a density
    proportional to

    .. math:: \\frac{\\sum_i d_i}{\\prod_i d_i}

    so that small leaves stay denser. Leaves that would exceed 1 stay dense, and the factor is solved again for the
    rest, so that the total is exactly `1 - sparsity`.

    Args:
        shapes: `{path: shape}` of the leaves to prune.
        sparsity: Fraction of zeros over all leaves, in [0, 1).
        distribution: `"uniform"`, `"erk"`, or `{pattern: sparsity}`, tried in order; leaves that no pattern matches get
            `sparsity`.

    Returns:
        `{path: density}`, each in (0, 1].

    Raises:
        ValueError: If a sparsity is out of range, a pattern matches no leaf, or the distribution is unknown or
            `"global"`.

    Example:
        >>> densities({"a": (10, 10), "b": (10, 10)}, 0.9)["a"]
        0.1

    Source: Evci et al., arXiv:1911.11134 (evci2020).
    """
    check_sparsity(sparsity)
    if isinstance(distribution, Mapping):
        return _by_pattern(shapes, sparsity, distribution)
    if distribution == "uniform":
        return dict.fromkeys(shapes, round(1.0 - sparsity, 12))
    if distribution == "erk":
        return _erk(shapes, sparsity)
    known = "'uniform', 'erk' or {pattern: sparsity}"
    if distribution == "global":
        raise ValueError(f"distribution 'global' has no densities before the weights are ranked; use {known}")
    raise ValueError(f"unknown distribution {distribution!r}; use {known}, or 'global' in prune.gradual")


def kept_counts(
    shapes: Mapping[str, tuple[int, ...]], sparsity: float, distribution: Distribution, *, whole: bool = True
) -> dict[str, Any]:
    """Entries that each leaf, or all leaves together (`ALL`), keep; fractions for callers that round to units."""
    sizes = {path: math.prod(shape) for path, shape in shapes.items()}
    total = sum(sizes.values())
    if distribution == "global":
        check_sparsity(sparsity)
        return {ALL: total - round(sparsity * total)}
    exact = {path: d * sizes[path] for path, d in densities(shapes, sparsity, distribution).items()}
    if not whole:
        return exact
    if distribution != "erk":
        return {path: round(x) for path, x in exact.items()}
    counts = {path: math.floor(x + 1e-9) for path, x in exact.items()}
    short = total - round(sparsity * total) - sum(counts.values())
    # Largest remainders first, so that the total is exact.
    for path in sorted(exact, key=lambda p: counts[p] - exact[p])[: max(short, 0)]:
        counts[path] = min(counts[path] + 1, sizes[path])
    return counts


def check_removes(shapes: Mapping[str, tuple[int, ...]], sparsity: float, kept: Mapping[str, Any]) -> None:
    """Refuses a sparsity above 0 that rounds to no removed weight in any leaf."""
    total = sum(math.prod(shape) for shape in shapes.values())
    if sparsity > 0 and total and sum(kept.values()) >= total:
        raise ValueError(
            f"sparsity={sparsity} removes none of the {total} weights of {list(shapes)[:8]}: it rounds to 0; "
            "increase it, or leave these leaves out"
        )


def _by_pattern(shapes: Mapping[str, tuple[int, ...]], sparsity: float, rules: Mapping[Selector, float]) -> dict:
    check_distribution(rules)
    leaves = {path: jax.ShapeDtypeStruct(shape, "float32") for path, shape in shapes.items()}
    for pattern in rules:
        if not any(matches(pattern, path, leaf) for path, leaf in leaves.items()):
            raise ValueError(f"distribution: pattern {pattern!r} matches none of {sorted(shapes)}; fix or remove it")
    chosen = {
        path: next((s for pattern, s in rules.items() if matches(pattern, path, leaf)), sparsity)
        for path, leaf in leaves.items()
    }
    return {path: round(1.0 - s, 12) for path, s in chosen.items()}


def _erk(shapes: Mapping[str, tuple[int, ...]], sparsity: float) -> dict[str, float]:
    size = {path: math.prod(shape) for path, shape in shapes.items()}
    # Leaves without axes or entries have no density of their own and stay dense.
    full = {path for path, shape in shapes.items() if not shape or not size[path]}
    raw = {path: sum(shape) / size[path] for path, shape in shapes.items() if path not in full}
    while True:
        rest = [path for path in shapes if path not in full]
        wanted = (1.0 - sparsity) * sum(size.values()) - sum(size[path] for path in full)
        mass = sum(raw[path] * size[path] for path in rest)
        factor = wanted / mass if rest else 0.0
        over = {path for path in rest if factor * raw[path] > 1.0 + 1e-12}
        if not over:
            return {path: 1.0 if path in full else min(factor * raw[path], 1.0) for path in shapes}
        # Make only the worst leaf dense at a time: the factor shrinks, and the rest may fit again.
        worst = max(raw[path] for path in over)
        full |= {path for path in over if raw[path] == worst}
