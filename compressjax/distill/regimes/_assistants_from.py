"""Smaller models made from a teacher, to given numbers of parameters."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp  # noqa: F401 - the example reads it

from compressjax import lowrank, structure
from compressjax.core import LeftOutWarning, compress, kernels, nodes
from compressjax.distill.regimes._assistants import parameters_of
from compressjax.interpret import layouts, lift
from compressjax.structure._layers import blocks

_Make = Callable[[int], tuple[Callable[..., Any], Any]]


class Assistant(NamedTuple):
    """A model between a teacher and a student.

    Attributes:
        fn: Function of the weights and the other arguments.
        params: The weights it starts from.
        parameters: Their number.
    """

    fn: Callable[..., Any]
    params: Any
    parameters: int


def assistants_from(
    fn: Callable[..., Any], teacher: Any, *args: Any, limits: Iterable[int], by: str = "units",
    pattern: str | None = None, saliency: Any = "l2",
) -> list[Assistant]:  # fmt: skip
    """Returns models made from a teacher, each within a number of parameters, to start assistants or a student from.

    .. math:: parameters(m_j) \\le l_j

    Args:
        fn: Any JAX function whose first argument is the tree of weights.
        teacher: The weights.
        *args: Example arguments of `fn`, concrete.
        limits: Numbers of parameters, as from `assistants`.
        by: `"units"` cuts channels, units and heads with `structure.shrink`; `"layers"` drops residual blocks with
            `structure.drop_blocks`, those first whose absence changes the results least; `"rank"` factorizes kernels
            with `lowrank.svd`, the same share of each.
        pattern: For `"layers"`, as `structure.drop_blocks` takes it: the name of the block in its first group.
        saliency: For `"units"`, as `structure.shrink` takes it.

    Returns:
        A model for every limit; those by rank have `LowRank` nodes and run through `lift`.

    Raises:
        ValueError: If a limit is out of reach, or a setting is unknown or missing.

    Example:
        >>> p = {"a": jnp.ones((2, 8)), "b": jnp.ones((8, 3))}
        >>> fn = lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"]
        >>> [m.parameters for m in assistants_from(fn, p, jnp.ones((1, 2)), limits=[30, 12])]
        [30, 10]

    Source: Mirzadeh et al., arXiv:1902.03393 (mirzadeh2020).
    """
    make: _Make
    if by == "units":
        make = _shrinking(fn, teacher, args, saliency)
    elif by == "rank":
        make = _factoring(fn, teacher, args)
    elif by == "layers" and pattern is not None:
        make = _dropping(fn, teacher, args, pattern)
    else:
        raise ValueError(f"assistants_from: by={by!r}, pattern={pattern!r}: by is 'units', 'rank', or 'layers' with a "
                         "pattern for the names of blocks")  # fmt: skip
    return [Assistant(*made, parameters_of(made[1])) for made in map(make, limits)]


def _shrinking(fn: Callable[..., Any], teacher: Any, args: tuple[Any, ...], saliency: Any) -> _Make:
    """Cuts units."""

    def make(limit: int) -> tuple[Callable[..., Any], Any]:
        budget = structure.parameters(limit=limit)
        small = structure.shrink(fn, teacher, *args, budget=budget, saliency=saliency)
        return small.fn, small.params

    return make


def _factoring(fn: Callable[..., Any], teacher: Any, args: tuple[Any, ...]) -> _Make:
    """Puts factors in the place of kernels."""
    run, layout = lift(fn, on_fallback="ignore"), layouts(fn)(teacher, *args)
    total = parameters_of(teacher)
    dense = sum(x.size for path, x in nodes(teacher).items() if kernels(path, x))

    def make(limit: int) -> tuple[Callable[..., Any], Any]:
        share = (limit - (total - dense)) / max(dense, 1)
        if not 0 < share < 1:
            raise ValueError(f"assistants_from: limit {limit} is not between the {total - dense} parameters outside of "
                             f"kernels and all {total}")  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOutWarning)  # the count below says whether the rest was enough
            small = compress(teacher, {kernels: lowrank.svd(budget=share)}, layout=layout)
        if (count := parameters_of(small)) > limit:
            raise ValueError(f"assistants_from: by='rank' leaves {count} parameters, more than {limit}: some kernels "
                             "are too small to factorize; take a larger limit, or by='units'")  # fmt: skip
        return run, small

    return make


def _dropping(fn: Callable[..., Any], teacher: Any, args: tuple[Any, ...], pattern: str) -> _Make:
    """Keeps the blocks with the highest scores that fit."""
    groups, flat = blocks(teacher, pattern), nodes(teacher)
    sizes = {name: parameters_of([flat[path] for path in paths]) for name, paths in groups.items()}
    scores = structure.drop_blocks(fn, teacher, *args, pattern=pattern, keep=len(groups)).scores
    ranked = sorted(scores, key=lambda name: -scores[name])
    rest = parameters_of(teacher) - sum(sizes.values())

    def make(limit: int) -> tuple[Callable[..., Any], Any]:
        kept: list[str] = []
        room = limit - rest
        for name in ranked:
            if sizes[name] <= room:
                room, kept = room - sizes[name], [*kept, name]
        if not kept:
            raise ValueError(f"assistants_from: limit {limit} leaves no block: the smallest has "
                             f"{min(sizes.values())} parameters, everything else {rest}")  # fmt: skip
        small = structure.drop_blocks(fn, teacher, *args, pattern=pattern, keep=kept)
        return small.fn, small.params

    return make
