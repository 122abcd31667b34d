"""Fits rules to a tree: every method gets the leaves that it can take, and the rest is listed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from compressjax.core._checks import is_concrete
from compressjax.core._compression import Compression
from compressjax.core._layout import Layout, Layouts, check_layouts, using
from compressjax.core._own import lent
from compressjax.core._partition import assign, laid_out, partition
from compressjax.core._select import Selector, selected, shown
from compressjax.core._settings import check_compressions
from compressjax.core._tree import nodes, values, with_values
from compressjax.core._unchanged import report_unchanged, unchanged
from compressjax.core._unfit import UnfitError, check_unfit, left_out, warn_left_out

Rules = Mapping[Selector, Compression] | Compression


class Fit(NamedTuple):
    """Rules that fit a tree.

    Attributes:
        compression: The rules as one compression, restricted to the leaves that fit.
        taken: `{path: name of the method}`.
        left: `{path: reason}` of the leaves that a rule matches and its method cannot take.
        tied: `{path: other path}` of leaves that are one array with another leaf: `compress` stores one node for both.

    `print(fit)` shows both as a table.
    """

    compression: Compression
    taken: dict[str, str]
    left: dict[str, str]
    tied: dict[str, str]

    def __str__(self) -> str:
        rows = [f"took {len(self.taken)} leaves:", left_out(self.taken)]
        return "\n".join(rows + ([f"left out {len(self.left)}:", left_out(self.left)] if self.left else []))


def fit(params: Any, rules: Rules, stats: Any = None, *, layout: Layouts | None = None, unfit: str = "skip") -> Fit:
    """Finds the leaves that fit each rule, on abstract values, and returns the rules for these leaves.

    Use it before a training run with `as_optax`; `compress` does it by itself.

    Args:
        params: A tree of arrays and nodes, concrete or abstract.
        rules: `{selector: compression}` as for `partition`, or one compression for all kernels.
        stats: Statistics of `observe`; methods that read them leave out leaves without.
        layout: As for `partition`; None takes the axes from `stats`. With the result of `cj.layouts(fn)` or with
            `stats`, one compression without a selector acts on what the function multiplies with data.
        unfit: `"skip"` leaves out leaves that do not fit, such as a group size that does not divide the inputs;
            `"raise"` refuses them.

    Returns:
        The compression, and what it took and left out.

    Raises:
        ValueError: If no leaf of a rule fits, or one does not and `unfit` is `"raise"`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.prune import magnitude
        >>> tree = {"a": jnp.ones((8, 2)), "b": jnp.ones((9, 2))}
        >>> print(fit(tree, {".*": magnitude(pattern="2:4")}))
        took 1 leaves:
          a  magnitude(sparsity=0.5, pattern=2:4)
        left out 1:
          b  axis 0 of (9, 2) is not divisible by 4; choose another M or axis=
    """

    def attempt(c: Compression) -> None:
        def trace(params: Any, stats: Any) -> Any:
            state = c.init(params)
            if stats is not None:
                state = c.after_step(params, state, stats)[1]
            return c.encode(params, state)

        try:
            jax.eval_shape(trace, params, stats)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
            return  # what depends on values cannot be checked before
        except UnfitError:
            raise
        except ValueError as error:
            if not isinstance(error.__cause__, jax.errors.JAXTypeError):
                raise

    return _fit(params, rules, stats, layout, unfit, attempt)[0]


class _Rule(NamedTuple):
    name: str
    shown: str
    paths: set[str]


def _fit(
    params: Any, rules: Rules, stats: Any, layout: Layouts | None, unfit: str, attempt: Callable[[Compression], Any]
) -> tuple[Fit, list[tuple[str, list[str]]], Any]:
    """Tries the rules and drops leaves that do not fit until the attempt succeeds.

    Returns the fit, name and leaves of every rule, and the result of the attempt.
    """
    check_unfit(unfit)
    layout = _given(layout, stats)
    flat, found = values(params), _rules(params, rules, layout)
    ties = _ties(params, found, layout)
    left: dict[str, str] = {}
    results: dict[Any, Any] = {}  # so that no leaf is compressed again when another one turns out not to fit
    while True:
        compression = _without(rules, found, layout, {*left, *ties})
        try:
            with using(None, results=results):
                result = attempt(compression)
            break
        except UnfitError as error:
            fresh = {path: reason for path, reason in error.reasons.items() if path in flat and path not in left}
            if unfit == "raise" or not fresh:
                raise
            left |= fresh
            for rule in found:
                if rule.paths and rule.paths <= set(left):
                    table = left_out({path: left[path] for path in sorted(rule.paths)})
                    raise ValueError(f"{rule.name}: no leaf of {rule.shown} fits:\n{table}") from error
    left |= {path: left[first] for path, first in ties.items() if first in left}
    taken = [(rule.name, sorted(rule.paths - set(left))) for rule in found]
    names = {
        path: name + (f", tied to {ties[path]}" if path in ties else "") for name, paths in taken for path in paths
    }
    return (
        Fit(compression, names, left, {path: first for path, first in ties.items() if path not in left}),
        taken,
        result,
    )


def _ties(params: Any, found: list[_Rule], layout: Layouts | None) -> dict[str, str]:
    """Leaves that are the same array as another leaf of their rule, and that leaf: one that products read, if any."""
    firsts: dict[tuple[int, int], str] = {}
    ties = {}
    known = () if layout is None or isinstance(layout, str) else layout
    leaves = [(path, x) for path, x in nodes(params).items() if is_concrete(x)]
    for path, x in sorted(leaves, key=lambda pair: pair[0] not in known):
        for number, rule in enumerate(found):
            if path in rule.paths and firsts.setdefault((number, id(x)), path) != path:
                ties[path] = firsts[number, id(x)]
    return ties


def _rules(params: Any, rules: Rules, layout: Layouts | None) -> list[_Rule]:
    """The leaves of every rule."""
    if isinstance(rules, Compression):
        with using(layout):
            return [_Rule(rules.name, "kernels", set(selected(params, rules.name)))]
    parts = assign(tuple(rules), values(params))
    check_compressions("compress", *rules.values())
    return [_Rule(c.name, shown(s), set(mine)) for (s, c), (_, mine) in zip(rules.items(), parts, strict=True)]


def _without(rules: Rules, found: list[_Rule], layout: Layouts | None, left: set[str]) -> Compression:
    """The rules as one compression, without some leaves."""
    if isinstance(rules, Compression):
        return laid_out(rules, layout, frozenset(left))
    if left:
        pairs = zip(rules.values(), found, strict=True)
        rules = {_only(rule.shown, frozenset(rule.paths - left)): c for c, rule in pairs}
    return partition(rules, layout=layout)


def _only(name: str, paths: frozenset[str]) -> Selector:
    def fits(path: str, leaf: Any) -> bool:
        del leaf
        return path in paths

    fits.__name__ = name
    return fits


def _given(layout: Layouts | None, stats: Any) -> Layouts | None:
    """The layout, or the one that the statistics hold."""
    return layouts_in(stats) if layout is None else check_layouts(layout)


def layouts_in(stats: Any) -> Mapping[str, Layout] | None:
    """The layouts that statistics hold; None if they hold none."""
    found = {path: getattr(s, "layout", None) for path, s in stats.items()} if isinstance(stats, Mapping) else {}
    return {path: axes for path, axes in found.items() if isinstance(axes, Layout) and axes.order} or None


def compress(
    params: Any,
    rules: Rules,
    stats: Any = None,
    *,
    layout: Layouts | None = None,
    unfit: str = "skip",
    on_unchanged: str = "raise",
) -> Any:
    """Compresses the leaves that each selector matches, without training.

    Args:
        params: A tree of arrays and nodes; values inside nodes are compressed further.
        rules: `{selector: compression}` as for `partition`, or one compression for all kernels.
        stats: Statistics from `observe`, for methods that read them.
        layout: As for `fit`.
        unfit: As for `fit`; what is left out is listed in a `LeftOutWarning`.
        on_unchanged: `"raise"`, `"warn"` or `"ignore"` when a rule changed no value and saved no byte of all its leaves
            (a rank that is too high, a sparsity of 0, a method that needs training). `identity()` may change nothing.
            `summary` shows single leaves that did not change.

    Returns:
        The tree with nodes in place of the compressed leaves; `lift` runs it and `artifact.save` stores it. Two leaves
        that are one array (tied weights) get one node.

    Raises:
        ValueError: If a selector matches no value, or only values that earlier rules took; if no leaf of a rule fits;
            if a rule changed nothing and `on_unchanged` is `"raise"`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import identity
        >>> compress({"kernel": jnp.ones((2, 2))}, {".*kernel": identity()})["kernel"].shape
        (2, 2)
    """

    return compress_and_fit(params, rules, stats, layout=layout, unfit=unfit, on_unchanged=on_unchanged, warn=True)[0]


def compress_and_fit(
    params: Any, rules: Rules, stats: Any, *, layout: Any, unfit: str, on_unchanged: str, warn: bool
) -> tuple[Any, Fit]:
    """`compress`, which also returns what it took and left out."""

    def attempt(c: Compression) -> Any:
        # Ignore the parameters of after_step, because there was no step.
        with lent():
            return c.encode(params, c.after_step(params, c.init(params), stats)[1])

    found, rows, tree = _fit(params, rules, stats, layout, unfit, attempt)
    if found.tied:
        made = nodes(tree)
        tree = with_values(tree, {path: made[first] for path, first in found.tied.items()})
    if warn:
        warn_left_out(found.left, stacklevel=4)
    same = unchanged(params, tree)
    for name, paths in rows:
        report_unchanged(name, paths, same, on_unchanged)
    return tree, found
