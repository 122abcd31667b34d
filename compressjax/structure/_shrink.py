"""`shrink`: a smaller model with the results of the masked model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp  # noqa: F401 - the example reads it
import numpy as np

from compressjax.core import Selector, matches
from compressjax.interpret import Group, couplings, narrow, predict_flops
from compressjax.interpret.jaxpr._compiled import Compiled
from compressjax.structure._agreement import Agreement, difference
from compressjax.structure._alive import alive
from compressjax.structure._allocate import allocate, explicit
from compressjax.structure._budget import Budget, Model, parameters, size
from compressjax.structure._saliency import named, score_units
from compressjax.structure._units import cut, mask

_TINY = 1e-8


class Cut(NamedTuple):
    """The result for one group.

    Attributes:
        group: Name of the group.
        units: Number of units before.
        kept: Number of units after.
        members: Number of weight axes in the group.
        reason: Why the group could not or should not shrink; empty otherwise.
    """

    group: str
    units: int
    kept: int
    members: int
    reason: str


class Costs(NamedTuple):
    """Costs of a model.

    Attributes:
        parameters: Stored numbers.
        bytes: Bytes of the arrays.
        flops: Predicted operations of one call on the example arguments.
    """

    parameters: int
    bytes: int
    flops: int


class Shrunk(NamedTuple):
    """A smaller model.

    Attributes:
        fn: Function of the smaller weights and the other arguments.
        params: The smaller weights.
        kept: Indices of the kept units, by group.
        native: Whether `fn` is the given function; otherwise it is `narrow` of it.
        error: Largest difference from the masked model on the example arguments, relative to its largest result if that
            is above 1; None if the arguments are abstract.
        cuts: One row per group.
        before: Costs of the whole model.
        after: Costs of the smaller model.
    """

    fn: Callable[..., Any]
    params: Any
    kept: dict[str, list[int]]
    native: bool
    error: float | None
    cuts: tuple[Cut, ...]
    before: Costs
    after: Costs


def shrink(
    fn: Callable[..., Any], params: Any, *args: Any, keep: Any = None, budget: Budget | None = None,
    saliency: Any = "l2", stats: Any = None, select: Selector = ".*", allow_inexact: bool = False,
    ranking: str = "global", round_to: int = 1, run: str = "auto",
    tolerance: float | None = None,
) -> Shrunk:  # fmt: skip
    """Removes channels, hidden units, heads and cells from a model: smaller arrays, and a function that runs them.

    .. math:: f_{small}(cut(w), x) = f(mask(w), x)

    The equation is checked on the example arguments. Returns the given function if it runs the smaller weights with
    these results, and otherwise, such as for widths in the code, that of `interpret.narrow`.

    A residual network with half of its channels has 25 % of the bytes, and is 2.92 times faster at batch size 256 and
    1.17 times at batch size 1 (`experiments.shrink`, docs/results.md).

    Args:
        fn: Any JAX function whose first argument is the tree of weights, including statistics of BatchNorm.
        params: The weights.
        *args: Example arguments of `fn`; abstract ones skip the check.
        keep: Instead of a budget: a share in (0, 1] of every group, `{group: share, count or indices}`, or `"alive"`
            to remove only units of zero weights, as group penalties and gates produce them, with no change of results.
        budget: `parameters`, `size`, `flops` or `latency`, with a share or a limit.
        saliency: Any of `compressjax.saliency`, whose scores are reduced to units; `"l1"`, `"l2"` (sum and norm of
            `magnitude`) or `"norm_scale"` (`batch_norm`); or scores `{path: array}`, which are summed.
        stats: Statistics of `observe`, for a saliency that reads them.
        select: Pattern for names of groups or for `path:axis` of a member, or `(name, group) -> bool`.
        allow_inexact: Whether to shrink also residual streams under LayerNorm or RMSNorm; their means still divide by
            the full width, so that the given function cannot run them.
        ranking: `"global"` ranks all units together, `"uniform"` removes the same share of every group.
        round_to: The kept units of a group are a multiple of this, or all.
        run: `"auto"`, `"native"` (require the given function), or `"narrow"`.
        tolerance: Largest error in the check. None takes what rounding explains: 1e-5 (float64: 1e-9; narrower results:
            8 machine epsilons), or 32 times the change of the results when every weight moves by one unit of its last
            place, which grows with depth, up to 0.05.

    Returns:
        The smaller model and a report.

    Raises:
        ValueError: If a group cannot shrink (with its name, the reason and a remedy), a limit is out of reach, or the
            check fails.

    Example:
        >>> p = {"a": jnp.ones((2, 8)), "b": jnp.ones((8, 3))}
        >>> small = shrink(lambda p, x: jax.nn.relu(x @ p["a"]) @ p["b"], p, jnp.ones((1, 2)), keep=0.5)
        >>> jax.tree.map(jnp.shape, small.params), small.native
        ({'a': (2, 4), 'b': (4, 3)}, True)

    Source: Li et al., arXiv:1608.08710; Fang et al., DepGraph, arXiv:2301.12900.
    """
    if (keep is None) == (budget is None):
        raise ValueError("shrink: give either keep= (shares or counts) or budget= (a cost and its limit)")
    if isinstance(keep, str) and keep != "alive":
        raise ValueError(f"shrink: keep={keep!r} is unknown; give 'alive', a share, or counts by group")
    if run not in ("auto", "native", "narrow"):
        raise ValueError(f"shrink: run={run!r} is unknown; use 'auto', 'native' or 'narrow'")
    if round_to < 1:
        raise ValueError(f"shrink: round_to={round_to} is not positive; give at least 1")
    scorer, groups = named(saliency), couplings(fn)(params, *args)
    free = _free(groups, keep, select, allow_inexact)
    scores = {} if isinstance(keep, str) else score_units(free, params, scorer, stats)
    model = Model(fn, params, args, groups)
    if isinstance(keep, str):
        kept = alive(free, params)
    elif budget is None:
        kept = explicit(free, scores, keep, round_to)
    else:
        kept = allocate(model, scores, budget, ranking=ranking, round_to=round_to,
                        comparable=scorer.comparable)  # fmt: skip
    small = cut(params, groups, kept)
    chosen, native, error = _function(model, kept, small, run, tolerance)
    if keep == "alive" and error is not None:
        error = _lossless(model, chosen, small, error, tolerance)
    rows = tuple(
        Cut(g.name, g.units, len(kept.get(g.name, range(g.units))), len(g.members), _reason(g, free)) for g in groups
    )
    return Shrunk(chosen, small, kept, native, error, rows, _costs(model, {}), _costs(model, kept))


def _named_by(group: Group, select: Selector) -> bool:
    names = [group.name, *(f"{member.path}:{member.axis}" for member in group.members)]
    return any(matches(select, name, group) for name in (names if isinstance(select, str) else names[:1]))


def _free(groups: Sequence[Group], keep: Any, select: Selector, allow_inexact: bool) -> list[Group]:
    """Returns the groups that may shrink; raises if a named group cannot."""
    listed = set(keep) if isinstance(keep, Mapping) else set()
    wanted = [g for g in groups if g.name in listed or (not listed and _named_by(g, select))]
    missing = listed - {g.name for g in groups}
    free = [g for g in wanted if not g.frozen and (allow_inexact or not g.note)]
    open_names = ", ".join(g.name for g in groups if not g.frozen) or "none"
    if missing:
        raise ValueError(f"keep names {sorted(missing)}, which are not groups; groups that can be cut: {open_names}")
    refused = [g for g in wanted if g not in free and (listed or not free)]
    if refused:
        first = refused[0]
        why = first.frozen or f"{first.note}; pass allow_inexact=True to cut it anyway"
        raise ValueError(f"group {first.name!r} ({first.units} units) cannot be cut: {why}; groups that can be cut: "
                         f"{open_names}")  # fmt: skip
    if not free:
        raise ValueError(f"select={select!r} selects no group; groups that can be cut: {open_names}")
    return free


def _reason(group: Group, free: Sequence[Group]) -> str:
    if any(group.name == other.name for other in free):
        return ""
    return group.frozen or group.note or "not selected"


def _costs(model: Model, kept: Mapping[str, Sequence[int]]) -> Costs:
    count = predict_flops(model.fn, model.params, kept)(*model.args)
    return Costs(int(parameters(1.0).cost(model, kept)), int(size(1.0).cost(model, kept)), count)


def _function(
    model: Model, kept: dict[str, list[int]], small: Any, run: str, tolerance: float | None
) -> tuple[Callable[..., Any], bool, float | None]:
    """Returns the function for the smaller weights, whether it is the given one, and its error."""
    narrowed = narrow(model.fn, model.params, kept)
    concrete = not any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves((model.params, model.args)))
    if not concrete:
        return (model.fn, True, None) if run == "native" else (narrowed, False, None)
    whole, masked = Compiled(model.fn), mask(model.params, model.groups, kept)
    expected = whole(masked, *model.args)
    if not _finite(expected):  # at zero, a weight divided by its norm only has a limit
        masked = mask(model.params, model.groups, kept, factor=_TINY)
        expected = whole(masked, *model.args)
    agreement = Agreement(expected, lambda params: whole(params, *model.args), masked, tolerance)
    reason = ""
    if run != "narrow":
        try:
            error = difference(expected, whole(small, *model.args))
            if agreement.allows(error):
                return model.fn, True, error
            reason = f"its results are not the masked ones; {agreement.why(error)}"
        except Exception as failure:  # the code of the function may raise anything on shapes that do not match
            reason = str(failure).splitlines()[0]
        if run == "native":
            raise ValueError(f"the function does not run the smaller weights: {reason}; use run='auto' or 'narrow'")
    error = difference(expected, Compiled(narrowed)(small, *model.args))
    if not agreement.allows(error):
        raise ValueError(f"the results of the shrunk model are not those of the masked one: {agreement.why(error)}")
    return narrowed, False, error


def _finite(results: Any) -> bool:
    return all(bool(np.isfinite(np.asarray(x, np.float64)).all()) for x in jax.tree.leaves(results))


def _lossless(model: Model, fn: Callable[..., Any], small: Any, error: float, tolerance: float | None) -> float:
    """The error against the whole model if only dead units are removed."""
    whole = Compiled(model.fn)
    expected, got = whole(model.params, *model.args), Compiled(fn)(small, *model.args)
    lost = difference(expected, got)
    agreement = Agreement(expected, lambda params: whole(params, *model.args), model.params, tolerance)
    if not agreement.allows(lost):
        raise ValueError(
            f"keep='alive': units of zero weights still have an effect (results change by {lost:.2g}), through a bias "
            "or a norm after them; zero those too, or give a share with keep= and continue the training"
        )
    return max(error, lost)
