"""A Linen module with smaller fields, found from the shapes of shrunk variables and verified by running it."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from compressjax.core import nodes

_LIMIT = 1024  # settings of fields that are tried
Where = tuple[Any, ...]  # names of fields and places in tuples, from the module down
Shapes = dict[str, tuple[int, ...]]


def resize(module: nn.Module, variables: Any, *args: Any, expected: Any, tolerance: float = 1e-5) -> nn.Module:
    """A Linen module whose widths are those of shrunk variables, verified on example arguments.

    Integers in its fields (in tuples, dicts and dataclass configs too) are tried in the sizes that the shrunk arrays
    suggest, until `init` gives arrays of exactly those shapes and `apply` gives the expected results.

    Args:
        module: The module of the full width, whose fields hold its widths.
        variables: Shrunk variables, as `structure.shrink(module.apply, ...)` returns them in `params`.
        *args: Example arguments of `module.apply`.
        expected: What the shrunk model returns for them: `small.fn(small.params, *args)`.
        tolerance: Largest difference from `expected`, relative to its largest entry if that is above 1.

    Returns:
        The module with other fields.

    Raises:
        ValueError: If no setting of the fields gives these shapes, or the results differ because the code uses a width
            otherwise, as in a scale or a mean. The function that `shrink` returns runs in both cases.

    Example:
        >>> import jax.numpy as jnp
        >>> small = {"params": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
        >>> resize(nn.Dense(5), small, jnp.ones((1, 2)), expected=jnp.full((1, 3), 3.0)).features
        3
    """
    rng, wanted = jax.random.key(0), _shapes(variables)
    whole = _shapes(jax.eval_shape(module.init, rng, *args))
    if odd := sorted(set(whole) ^ set(wanted)):
        raise ValueError(f"variables and module disagree on {odd[:4]}; pass all collections that init makes")
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
        "or stay (select=), and those that share a field keep the same count (keep=, or ranking='uniform'); the "
        "function that shrink returned runs as it is"
    )


def _parts(value: Any) -> dict[Any, Any]:
    """What a tuple, a dict, a module or another dataclass holds."""
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if isinstance(value, Mapping):
        return dict(value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return {}
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name not in ("parent", "name")}


def _numbers(value: Any, where: Where) -> Iterator[tuple[Where, int]]:
    """Integers above one in a value, with the way to each."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 1:
        yield where, value
    for key, part in _parts(value).items():
        yield from _numbers(part, (*where, key))


def _with(value: Any, where: Where, new: int) -> Any:
    """The value with another number at one place."""
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
    """What a field may have become: sizes of axes after the cut; if not only single axes count, products and parts."""
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
    except Exception:  # widths that do not belong together raise what the module's code chooses
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
    """The message for a module that computes something else."""
    return (
        f"the resized module differs from the shrunk model by {gap:.2g}: its code uses a width that was cut, in a "
        "scale or a mean; run the function that shrink returned, or cut other groups"
    )
