"""Rules: which compression acts on which values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from compressjax.core._compression import Compression
from compressjax.core._layout import Layouts, check_layouts, using
from compressjax.core._masks import Masks
from compressjax.core._select import Selector, holdings, matches, shown
from compressjax.core._settings import check_compressions
from compressjax.core._tree import Chosen, values, with_values


class PartitionState(NamedTuple):
    """States of the rules, in order."""

    states: tuple[Any, ...]


def partition(rules: Mapping[Selector, Compression], *, layout: Layouts | None = None) -> Compression:
    """Applies each compression to the values that its selector matches; the first match wins, other values stay dense.

    .. math:: view(\\theta, s)_l = view_{r(l)}(\\theta_l, s_{r(l)})

    Args:
        rules: `{selector: compression}`; a selector is a regular expression for the whole path, or
            `(path, leaf) -> bool`. `".*"` includes biases. Rules may be partitions, chains and sequences.
        layout: Which axes of a leaf are inputs: the result of `cj.layouts(fn)`, or `"[in, out]"` or `"[out, in]"` for
            all leaves; None for that of an outer partition, `"[in, out]"` by default. Methods without an axis in their
            settings follow it.

    Returns:
        One compression; its state is a `PartitionState`, or the state of the rule if there is only one.

    Raises:
        ValueError: If there are no rules; from `init`, when a selector matches no value, or only values that earlier
            rules took.

    Example:
        >>> from compressjax.core import identity
        >>> partition({".*Dense_0/kernel": identity(), ".*": identity()}).name
        "partition('.*Dense_0/kernel': identity, '.*': identity)"
    """
    if not rules:
        raise ValueError("partition: there are no rules; give {selector: compression}, or use identity()")
    selectors, members = tuple(rules), tuple(rules.values())
    check_compressions("partition", *members)
    alone = len(members) == 1

    def joined(states: list[Any]) -> Any:
        return states[0] if alone else PartitionState(tuple(states))

    def parts(tree: Any) -> list[Chosen]:
        flat, found = values(tree), []
        for selector, c, (matched, mine) in zip(selectors, members, assign(selectors, flat), strict=True):
            if not mine:
                reason = f"earlier rules took {sorted(matched)}" if matched else holdings(tree, flat)
                raise ValueError(f"{c.name}: {shown(selector)} selects nothing: {reason}; fix the rule or remove it")
            found.append(Chosen(mine, tree))
        return found

    def each(tree: Any, state: Any) -> list[tuple[Compression, Any, Chosen]]:
        return list(zip(members, (state,) if alone else state.states, parts(tree), strict=True))

    def view(params: Any, state: Any) -> Any:
        return _with(params, [c.view(part, s) for c, s, part in each(params, state)])

    def encode(params: Any, state: Any) -> Any:
        return _with(params, [c.encode(part, s) for c, s, part in each(params, state)])

    def masks(params: Any, state: Any) -> Masks:
        found = [c.masks(part, s) for c, s, part in each(params, state)]
        used = {path: mask for m in found for path, mask in (m.used or {}).items()}
        return Masks(used, {path: mask for m in found for path, mask in m.moving.items()})

    def before_step(grads: Any, params: Any, state: Any, slopes: Any = None) -> tuple[Any, Any]:
        flat, received, states = values(grads), [], []
        own = [slopes] * len(members) if alone or slopes is None else slopes.states
        for (c, s, part), slope in zip(each(params, state), own, strict=True):
            got, after = c.before_step(Chosen({path: flat[path] for path in part}), part, s, slope)
            received.append(got)
            states.append(after)
        return _with(grads, received), joined(states)

    def after_step(params: Any, state: Any, stats: Any = None) -> tuple[Any, Any]:
        after = [(c, *c.after_step(part, s, stats)) for c, s, part in each(params, state)]
        moved = [part for c, part, _ in after if c.learns]
        return _with(params, moved) if moved else params, joined([s for _, _, s in after])

    named = ", ".join(f"{shown(selector)}: {c.name}" for selector, c in rules.items())
    made = Compression(
        init=lambda params: joined([c.init(part) for c, part in zip(members, parts(params), strict=True)]),
        view=view,
        encode=encode,
        masks=masks,
        before_step=before_step,
        after_step=after_step,
        learns=any(c.learns for c in members),
        name=members[0].name if alone else f"partition({named})",
        needs=tuple(dict.fromkeys(need for c in members for need in c.needs)),
    )
    return made if layout is None else laid_out(made, check_layouts(layout))


def laid_out(compression: Compression, layout: Layouts | None, without: frozenset[str] = frozenset()) -> Compression:
    """The compression under a layout, without some leaves."""

    def under(hook: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with using(layout, without):
                return hook(*args, **kwargs)

        return run

    c = compression
    return c._replace(
        init=under(c.init),
        view=under(c.view),
        encode=under(c.encode),
        masks=under(c.masks),
        before_step=under(c.before_step),
        after_step=under(c.after_step),
    )


def assign(selectors: Sequence[Selector], flat: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """For each selector, the values that it matches, and those of them that no earlier selector matches."""
    taken, found = set[str](), []
    for selector in selectors:
        matched = {path: leaf for path, leaf in flat.items() if matches(selector, path, leaf)}
        found.append((matched, {path: leaf for path, leaf in matched.items() if path not in taken}))
        taken.update(matched)
    return found


def _with(tree: Any, parts: list[Mapping[str, Any]]) -> Any:
    return with_values(tree, {path: x for part in parts for path, x in part.items()})


def only(selector: Selector, compression: Compression) -> Compression:
    """Restricts a compression to the values that a selector matches, kernels or not.

    Args:
        selector: Regular expression for the whole path, or `(path, leaf) -> bool`.
        compression: Any compression.

    Returns:
        `partition({selector: compression})`.

    Example:
        >>> from compressjax.core import identity
        >>> only(".*Dense_0/kernel", identity()).name
        'identity'
    """
    return partition({selector: compression})
