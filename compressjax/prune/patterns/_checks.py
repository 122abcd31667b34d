"""Checks of settings before any leaf is known."""

import math
from collections.abc import Mapping
from typing import Any

from compressjax.core import Selector
from compressjax.core._settings import as_number
from compressjax.prune.patterns._pattern import Pattern, as_pattern

Distribution = str | Mapping[Selector, float]
DISTRIBUTIONS = ("uniform", "global", "erk")


def check_strength(who: str, name: str, value: Any, hint: str = "") -> Any:
    """A penalty, decay or damping; refuses what is negative, infinite or NaN, and passes functions of the step."""
    if callable(value):
        return value
    if not 0 <= as_number(who, name, value) < math.inf:
        raise ValueError(f"{who}: {name}={value} must be finite and at least 0" + (hint and f"; {hint}"))
    return as_number(who, name, value)


def check_sparsity(sparsity: float | None, name: str = "sparsity") -> float:
    """A sparsity; refuses what is outside [0, 1), and None."""
    if sparsity is None:
        raise ValueError(f"{name} is missing; give the fraction of zeros in [0, 1), or a pattern 'N:M', which fixes it")
    if not 0.0 <= as_number("prune", name, sparsity) < 1.0:
        raise ValueError(f"{name}={sparsity} is outside [0, 1): it is the fraction of zeros, 0.9 for 90 %")
    return as_number("prune", name, sparsity)


def check_distribution(distribution: Any, who: str = "", *, ranks: bool = True) -> None:
    """Refuses unknown distributions, and `"global"` for methods that do not rank weights."""
    prefix = who and f"{who}: "
    if isinstance(distribution, Mapping):
        for pattern, sparsity in distribution.items():
            check_sparsity(sparsity, f"distribution[{pattern!r}]")
    elif distribution not in DISTRIBUTIONS:
        raise ValueError(f"{prefix}unknown distribution {distribution!r}; use one of {DISTRIBUTIONS} or "
                         "{pattern: sparsity}")  # fmt: skip
    elif distribution == "global" and not ranks:
        raise ValueError(f"{prefix}distribution 'global' needs a ranking of weights; use 'erk' or 'uniform'")


def check_pattern(
    pattern: str | Pattern, sparsity: float | None, distribution: Distribution, who: str = "", *, fixed: bool = True
) -> Pattern:
    """The pattern, checked against sparsity and distribution; with `fixed=False` it must not fix its density."""
    chosen, prefix = as_pattern(pattern), who and f"{who}: "
    check_distribution(distribution, who)
    if chosen.density is not None and not fixed:
        raise ValueError(f"{prefix}pattern {chosen.name} fixes the number of kept weights; use gradual or one_shot")
    if sparsity is not None or chosen.density is None:
        check_sparsity(sparsity, f"{prefix}sparsity")
    if chosen.density is not None:
        zeros = 1.0 - chosen.density
        # Tolerate rounded input such as 0.667 for 2/3.
        if distribution != "uniform" or (sparsity is not None and abs(sparsity - zeros) > 1e-3):
            raise ValueError(
                f"{prefix}pattern {chosen.name} leaves {zeros:g} of every leaf zero, but sparsity={sparsity} and "
                f"distribution={distribution!r} were given; use sparsity {zeros:g} under 'uniform'"
            )
    if chosen.whole and distribution != "global":
        raise ValueError(f'{prefix}pattern {chosen.name} removes whole leaves; use distribution="global"')
    return chosen


def own_sparsity(sparsity: Any, pattern: str | Pattern) -> Any:
    """The given sparsity or schedule, or the pattern's own if it is None."""
    own = as_pattern(pattern).density
    if sparsity is None:
        return None if own is None else 1.0 - own
    return sparsity if callable(sparsity) else as_number("prune", "sparsity", sparsity)
