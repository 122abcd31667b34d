"""Rules: which compression acts on which values."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from compressjax.core._compression import Compression
from compressjax.core._masks import Masks
from compressjax.core._select import Selector, listing, matches, shown
from compressjax.core._tree import Chosen, values, with_values
from compressjax.core._unchanged import report_unchanged, unchanged


class PartitionState(NamedTuple):
    """States of the rules, in order."""

    states: tuple[Any, ...]


def partition(rules: Mapping[Selector, Compression]) -> Compression:
    """Applies each compression to the values that its selector matches; the first match wins, other values stay dense.

    .. math:: view(\\theta, s)_l = view_{r(l)}(\\theta_l, s_{r(l)})

    Args:
        rules: `{selector: compression}`; a selector is a regular expression for the whole path, or
            `(path, leaf) -> bool`. `".*"` includes biases. Rules may be partitions, chains and sequences.

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
    alone = len(members) == 1

    def joined(states: list[Any]) -> Any:
        return states[0] if alone else PartitionState(tuple(states))

    def parts(tree: Any) -> list[Chosen]:
        flat, found = values(tree), []
        for selector, c, (matched, mine) in zip(selectors, members, assign(selectors, flat), strict=True):
            if not mine:
                reason = f"earlier rules took {sorted(matched)}" if matched else f"the tree has {listing(flat)}"
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
    return Compression(
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


def compress(
    params: Any, rules: Mapping[Selector, Compression], stats: Any = None, *, on_unchanged: str = "raise"
) -> Any:
    """Compresses the leaves that each selector matches, without training.

    Args:
        params: A tree of arrays and nodes; values inside nodes are compressed further.
        rules: `{selector: compression}`, as for `partition`.
        stats: Statistics from `observe`, for methods that read them.
        on_unchanged: `"raise"`, `"warn"` or `"ignore"` when a rule changed no value and saved no byte of all its leaves
            (a rank that is too high, a sparsity of 0, a method that needs training). `identity()` may change nothing.
            `summary` shows single leaves that did not change.

    Returns:
        The tree with nodes in place of the compressed leaves; `lift` runs it and `artifact.save` stores it.

    Raises:
        ValueError: If a selector matches no value, or only values that earlier rules took; if a rule changed nothing
            and `on_unchanged` is `"raise"`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import identity
        >>> compress({"kernel": jnp.ones((2, 2))}, {".*kernel": identity()})["kernel"].shape
        (2, 2)
    """
    compression = partition(rules)
    # Ignore the parameters of after_step, because there was no step.
    _, state = compression.after_step(params, compression.init(params), stats)
    tree = compression.encode(params, state)
    same = unchanged(params, tree)
    for c, (_, mine) in zip(rules.values(), assign(tuple(rules), values(params)), strict=True):
        report_unchanged(c.name, mine, same, on_unchanged)
    return tree
