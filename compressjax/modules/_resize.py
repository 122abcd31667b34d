"""A Linen module with smaller fields, found from the shapes of its shrunk variables."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from compressjax.core import nodes

_MOST = 1024  # settings of fields that are tried
Where = tuple[Any, ...]  # names of fields and places in tuples, from the module down


def numbers(value: Any, where: Where) -> Iterator[tuple[Where, int]]:
    """Integers above one in the fields of a module, in tuples and dicts, and in configs that are dataclasses.

    Args:
        value: A module, or what one of its fields holds.
        where: The way to it.

    Yields:
        The way to every integer, and the integer.

    Example:
        >>> list(numbers({"heads": 4, "widths": (1, 8)}, ()))
        [(('heads',), 4), (('widths', 1), 8)]
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 1:
        yield where, value
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from numbers(part, (*where, i))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from numbers(part, (*where, key))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name not in ("parent", "name"):
                yield from numbers(getattr(value, field.name), (*where, field.name))


def _with(value: Any, where: Where, new: int) -> Any:
    if not where:
        return new
    head, *rest = where
    if isinstance(value, tuple | list):
        return type(value)(_with(x, tuple(rest), new) if i == head else x for i, x in enumerate(value))
    if isinstance(value, Mapping):
        return type(value)({**value, head: _with(value[head], tuple(rest), new)})  # type: ignore[call-arg]
    changed = _with(getattr(value, head), tuple(rest), new)
    return (
        value.clone(**{head: changed})
        if isinstance(value, nn.Module)
        else dataclasses.replace(value, **{head: changed})
    )


def _candidates(
    number: int, old: dict[str, tuple[int, ...]], new: dict[str, tuple[int, ...]], single: bool
) -> list[int]:
    """What a field may have become: sizes of axes after the cut; if not only single axes count, products and parts."""
    found = {number: None}
    for path, shape in old.items():
        if single:
            found.update({after: None for before, after in zip(shape, new[path]) if before == number})
            continue
        for low, high in itertools.combinations(range(len(shape) + 1), 2):
            before, after = math.prod(shape[low:high]), math.prod(new[path][low:high])
            times, rest = divmod(before, number)
            if rest == 0 and after != before and after % times == 0:
                found[after // times] = None
    return list(found)


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    return {path: tuple(x.shape) for path, x in nodes(tree).items() if hasattr(x, "shape")}


def resize(module: nn.Module, variables: Any, *args: Any, expected: Any = None, tolerance: float = 1e-5) -> nn.Module:
    """A Linen module whose widths are those of shrunk variables.

    Integers in its fields (in tuples, dicts and dataclass configs too) are tried in the sizes that the shrunk arrays
    suggest, until `init` gives arrays of exactly those shapes.

    Args:
        module: The module of the full width, whose fields hold its widths.
        variables: Shrunk variables, as `structure.shrink(module.apply, ...)` returns them in `params`.
        *args: Example arguments of `module.apply`.
        expected: What the shrunk model returns for them; when given, the new module must return the same.
        tolerance: Largest difference from `expected`, relative to its largest entry if that is above 1.

    Returns:
        The module with other fields.

    Raises:
        ValueError: If no setting of the fields gives these shapes, or the results differ because the code uses a width
            otherwise, as in a scale or a mean. The function that `shrink` returns runs in both cases.

    Example:
        >>> import jax.numpy as jnp
        >>> small = {"params": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
        >>> resize(nn.Dense(5), small, jnp.ones((1, 2))).features
        3
    """
    rng = jax.random.key(0)
    shape_of = {path: tuple(x.shape) for path, x in nodes(jax.eval_shape(module.init, rng, *args)).items()}
    wanted = _shapes(variables)
    if set(shape_of) != set(wanted):
        odd = sorted(set(shape_of) ^ set(wanted))
        raise ValueError(f"variables and module disagree on {odd[:4]}; pass all collections that init makes")
    found = list(numbers(module, ()))
    for single in (True, False):
        options = [_candidates(number, shape_of, wanted, single)[::-1] for _, number in found]
        for setting in itertools.islice(itertools.product(*options), _MOST):
            smaller = module
            for (where, _), value in zip(found, setting, strict=True):
                smaller = _with(smaller, where, value)
            if _fits(smaller, wanted, rng, args):
                if expected is not None:
                    agree(jax.jit(smaller.apply)(variables, *args), expected, tolerance)
                return smaller
    fields = {".".join(map(str, where)): number for where, number in found}
    raise ValueError(
        f"no setting of the fields {fields} gives the shrunk shapes: widths in the code itself have to become fields, "
        "or stay (select=), and those that share a field keep the same count (keep=, or spread='uniform'); the "
        "function that shrink returned runs as it is"
    )


def _fits(module: nn.Module, wanted: dict[str, tuple[int, ...]], rng: jax.Array, args: tuple[Any, ...]) -> bool:
    try:
        return _shapes(jax.eval_shape(module.init, rng, *args)) == wanted
    except Exception:  # widths that do not belong together raise what the module's code chooses
        return False


def agree(got: Any, expected: Any, tolerance: float) -> None:
    """Compares what a resized module returns with what the shrunk model does.

    Args:
        got: Results of the module.
        expected: Results of the model.
        tolerance: Largest difference, relative to the largest entry expected if that is above 1.

    Raises:
        ValueError: If they differ by more.

    Example:
        >>> agree(np.ones(2), np.ones(2), 1e-5)
    """
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
        gap = float(np.abs(a - b).max(initial=0.0)) / max(1.0, float(np.abs(b).max(initial=0.0)))
        if not gap <= tolerance:
            raise ValueError(
                f"the resized module differs from the shrunk model by {gap:.2g}: its code uses a width that was cut, "
                "in a scale or a mean; run the function that shrink returned, or cut other groups"
            )
