"""Finds the fields of a smaller Linen module from the shapes of shrunk variables, and verifies them by running it."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from compressjax.core import nodes

_LIMIT = 1024  # settings of fields to try
Where = tuple[Any, ...]  # names of fields and indices in tuples, from the module down
Shapes = dict[str, tuple[int, ...]]


def resize(module: nn.Module, variables: Any, *args: Any, expected: Any, tolerance: float = 1e-5) -> nn.Module:
    """Returns a Linen module with the widths of shrunk variables, verified on example arguments.

    Tries sizes from the shrunk arrays for the integers in its fields (also in tuples, dicts and dataclass configs),
    until `init` returns the shrunk shapes and `apply` the expected results.

    Args:
        module: The module of the full width, with its widths in fields.
        variables: Shrunk variables: `params` of the result of `structure.shrink(module.apply, ...)`.
        *args: Example arguments of `module.apply`.
        expected: Result of the shrunk model for them: `small.fn(small.params, *args)`.
        tolerance: Largest difference from `expected`, relative to its largest entry if that is above 1.

    Returns:
        The module with other fields.

    Raises:
        ValueError: If no setting of the fields gives these shapes, or the results differ because the code uses a width
            elsewhere, such as in a scale or a mean. The function that `shrink` returns works in both cases.

    Example:
        >>> import jax.numpy as jnp
        >>> small = {"params": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
        >>> resize(nn.Dense(5), small, jnp.ones((1, 2)), expected=jnp.full((1, 3), 3.0)).features
        3
    """
    rng, wanted = jax.random.key(0), _shapes(variables)
    whole = _shapes(jax.eval_shape(module.init, rng, *args))
    if odd := sorted(set(whole) ^ set(wanted)):
        raise ValueError(f"variables and module disagree on {odd[:4]}; pass all collections that init returns")
    found, gap = list(_numbers(module, ())), 0.0
    for single in (True, False):
        options = [_candidates(number, whole, wanted, single)[::-1] for _, number in found]
        for setting in itertools.islice(itertools.product(*options), _LIMIT):
            smaller = module
            for (where, _), value in zip(found, setting, strict=True):
                smaller = _with(smaller, where, value)
            if _fits(smaller, wanted, rng, args):
                gap = difference(jax.jit(smaller.apply)(variables, *args), expected)
                if gap <= tolerance:
                    return smaller
    if gap:
        raise ValueError(disagrees(gap))
    fields = {".".join(map(str, where)): number for where, number in found}
    raise ValueError(
        f"no setting of the fields {fields} gives the shrunk shapes: widths in the code itself have to become fields, "
        "or stay (select=), and widths that share a field need the same count (keep=, or ranking='uniform'); or use "
        "the function that shrink returned"
    )


def _parts(value: Any) -> dict[Any, Any]:
    """The contents of a tuple, a dict, a module or another dataclass, by key."""
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if isinstance(value, Mapping):
        return dict(value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return {}
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name not in ("parent", "name")}


def _numbers(value: Any, where: Where) -> Iterator[tuple[Where, int]]:
    """Integers above one inside a value, with the position of each."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 1:
        yield where, value
    for key, part in _parts(value).items():
        yield from _numbers(part, (*where, key))


def _with(value: Any, where: Where, new: int) -> Any:
    """The value with another number at one position."""
    if not where:
        return new
    parts = _parts(value)
    parts[where[0]] = _with(parts[where[0]], where[1:], new)
    if isinstance(value, tuple | list):
        return type(value)(parts.values())
    if isinstance(value, Mapping):
        return type(value)(parts)  # type: ignore[call-arg]
    change = {where[0]: parts[where[0]]}
    return value.clone(**change) if isinstance(value, nn.Module) else dataclasses.replace(value, **change)


def _candidates(number: int, old: Shapes, new: Shapes, single: bool) -> list[int]:
    """Possible new numbers of a field: new sizes of single axes, or also of products and fractions of axes."""
    found = {number: None}
    for path, shape in old.items():
        for low, high in itertools.combinations(range(len(shape) + 1), 2):
            before, after = math.prod(shape[low:high]), math.prod(new[path][low:high])
            times, rest = divmod(before, number)
            if not rest and after != before and not after % times and (not single or high - low == times == 1):
                found[after // times] = None
    return list(found)


def _shapes(tree: Any) -> Shapes:
    return {path: tuple(x.shape) for path, x in nodes(tree).items() if hasattr(x, "shape")}


def _fits(module: nn.Module, wanted: Shapes, rng: jax.Array, args: tuple[Any, ...]) -> bool:
    try:
        return _shapes(jax.eval_shape(module.init, rng, *args)) == wanted
    except Exception:  # the code of the module may raise anything on widths that do not match
        return False


def difference(got: Any, expected: Any) -> float:
    """The largest difference between results, relative to the largest expected entry if that is above 1."""
    worst, pairs = 0.0, (jax.tree.leaves(got), jax.tree.leaves(expected))
    if [np.shape(x) for x in pairs[0]] != [np.shape(x) for x in pairs[1]]:
        return math.inf
    for x, y in zip(*pairs):
        a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
        gap = float(np.abs(a - b).max(initial=0.0)) / max(1.0, float(np.abs(b).max(initial=0.0)))
        worst = max(worst, gap) if math.isfinite(gap) else math.inf
    return worst


def disagrees(gap: float) -> str:
    """The message for a resized module with other results."""
    return (
        f"the resized module differs from the shrunk model by {gap:.2g}: its code uses a removed width, such as in a "
        "scale or a mean; use the function that shrink returned, or remove other groups"
    )
