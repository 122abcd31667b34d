"""Sizes between a teacher and a student."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp  # noqa: F401 - the example reads it

from compressjax.core import is_node, nodes, values
from compressjax.core._settings import as_int, integers


def assistants(teacher: int, student: int, count: int) -> list[int]:
    """Returns sizes of teacher assistants, at even distances in the logarithm.

    .. math:: n_i = t\\,(s / t)^{i / (c + 1)}, \\quad i = 1, ..., c

    Args:
        teacher: `t`, the number of parameters of the teacher.
        student: `s`, that of the student, smaller.
        count: `c`, the number of assistants, at least 1.

    Returns:
        `count` sizes, rounded, the largest first.

    Raises:
        ValueError: If the student is not smaller, or there is no room for `count` sizes.

    Example:
        >>> assistants(8_000, 1_000, 2)
        [4000, 2000]

    Source: Mirzadeh et al., arXiv:1902.03393 (mirzadeh2020).
    """
    t, s, c = integers("assistants", teacher=teacher, student=student, count=count)
    if not 0 < s < t or c < 1:
        raise ValueError(f"assistants: teacher={t}, student={s}, count={c}: the student must be smaller than the "
                         "teacher, and the count at least 1")  # fmt: skip
    sizes = [round(math.exp(math.log(t) + i / (c + 1) * (math.log(s) - math.log(t)))) for i in range(1, c + 1)]
    if len({t, *sizes, s}) < c + 2:
        raise ValueError(f"assistants: there are no {c} sizes between {t} and {s}; lower the count")
    return sizes


def fit_sizes(make: Callable[[int], Any], limits: Iterable[int], *, low: int, high: int) -> list[int]:
    """Returns, for every limit on the parameters, the largest model of a family within it.

    .. math:: n_j = \\max\\,\\{n : parameters(make(n)) \\le l_j\\}

    by bisection; models are only evaluated on abstract values.

    Args:
        make: `size -> tree of weights`, such as `lambda n: module(n).init(key, x)`. Their number must grow with `size`.
        limits: Numbers of parameters, as from `assistants`.
        low: The smallest size.
        high: The largest size.

    Returns:
        A size for every limit.

    Raises:
        ValueError: If the smallest model is above a limit, the largest one below it (a larger one might fit better), or
            `low` above `high`.

    Example:
        >>> fit_sizes(lambda n: {"in": jnp.zeros((4, n)), "out": jnp.zeros((n, 2))}, [60, 25], low=1, high=99)
        [10, 4]
    """
    low, high = as_int("fit_sizes", "low", low), as_int("fit_sizes", "high", high)
    if low > high:
        raise ValueError(f"fit_sizes: low={low} is above high={high}")

    def size(n: int) -> int:
        return parameters_of(jax.eval_shape(lambda: make(n)))

    found = []
    for limit in limits:
        a, b = low, high
        if size(a) > limit:
            raise ValueError(f"fit_sizes: the model of size low={a} has {size(a)} parameters, more than {limit}; lower "
                             "low=, or take a larger limit")  # fmt: skip
        if (most := size(b)) < limit:
            raise ValueError(f"fit_sizes: the model of size high={b} has {most} parameters, fewer than {limit}, so a "
                             "larger one may fit; raise high=, or take a smaller limit")  # fmt: skip
        while a < b:
            middle = (a + b + 1) // 2
            a, b = (middle, b) if size(middle) <= limit else (a, middle - 1)
        found.append(a)
    return found


def parameters_of(tree: Any) -> int:
    """Floating-point numbers in a tree; of nodes, those in their values, or the entries of nodes of codes alone."""
    total = 0
    for leaf in nodes(tree).values():
        inner = sum(math.prod(x.shape) for x in values([leaf]).values())
        total += inner or (leaf.size if is_node(leaf) else 0)
    return total
