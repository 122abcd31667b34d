"""Drops whole layers: residual blocks by name, and layers of a stack that a scan runs over."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import nodes
from compressjax.interpret import Group, couplings, narrow
from compressjax.interpret.coupling._label_flow import LOOP_AXIS
from compressjax.interpret.jaxpr._compiled import Compiled
from compressjax.interpret.jaxpr._used import used
from compressjax.interpret.narrowing._without import without
from compressjax.structure._allocate import best
from compressjax.structure._saliency import named, score_units


class Dropped(NamedTuple):
    """A model with fewer layers.

    Attributes:
        fn: Function of the remaining weights and the other arguments.
        params: The remaining weights: `{path: array}` after `drop_blocks`, the tree with shorter stacks after
            `drop_layers`.
        kept: Layers that are kept, in order: names of blocks, or indices in the stack.
        scores: Score of every layer; the lowest are dropped.
    """

    fn: Callable[..., Any]
    params: Any
    kept: tuple[Any, ...]
    scores: dict[Any, float]


def blocks(params: Any, pattern: str) -> dict[str, list[str]]:
    """Groups the paths of weights by block."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"drop_blocks: pattern {pattern!r} is not a regular expression: {error}") from error
    if groups < 1:
        raise ValueError(f"pattern {pattern!r} has no group; put the name of the block in parentheses")
    found: dict[str, list[str]] = {}
    for path in nodes(params):
        if match := re.fullmatch(pattern, path):
            found.setdefault(match[1], []).append(path)
    if not found:
        raise ValueError(f"pattern {pattern!r} matches no path; the tree has {list(nodes(params))[:8]}")
    return found


def _change(full: Any, got: Any) -> float:
    """Relative squared change of results."""
    pairs = list(zip(jax.tree.leaves(full), jax.tree.leaves(got), strict=True))
    change = sum(float(jnp.sum((x - y) ** 2)) for x, y in pairs)
    return change / max(sum(float(jnp.sum(x**2)) for x, _ in pairs), 1e-30)


def _chosen(keep: Any, scores: Mapping[Any, float], what: str) -> list[Any]:
    names = list(scores)
    if isinstance(keep, int | np.integer):
        if not 1 <= keep <= len(names):
            raise ValueError(f"keep={keep}: there are {len(names)} {what}; keep at least one")
        return [names[i] for i in best(np.array(list(scores.values())), int(keep))]
    unknown = [name for name in keep if name not in names]
    if unknown or not len(keep):
        raise ValueError(f"keep={list(keep)}: the {what} are {names}; keep at least one")
    return [name for name in names if name in set(keep)]


def drop_blocks(
    fn: Callable[..., Any], params: Any, *args: Any, pattern: str, keep: Any,
    score: Callable[[Any, Any], float] | None = None,
) -> Dropped:  # fmt: skip
    """Drops whole residual blocks: removes their weights, and their operations from the jaxpr.

    .. math:: x + f_b(x; 0) = x

    Saves the bytes and the operations of the dropped blocks; no benchmark measures the speed.

    Args:
        fn: Any JAX function whose first argument is the tree of weights.
        params: The weights.
        *args: Example arguments, concrete.
        pattern: Regular expression for paths, with the name of the block in its first group.
        keep: Number of blocks to keep, or their names.
        score: `(results, results without the block) -> number`, higher for blocks to keep; None takes the relative
            squared change of the results. Compiles and runs one program per block.

    Returns:
        The smaller model. Its weights are `{path: array}` without those of dropped blocks.

    Raises:
        ValueError: If the pattern matches nothing, `keep` is out of range, or a block is not a residual branch.

    Example:
        >>> p = {f"b{i}": {"w": jnp.eye(2) * i} for i in range(3)}
        >>> def fn(p, x):
        ...     for i in range(3):
        ...         x = x + jnp.tanh(x @ p[f"b{i}"]["w"])
        ...     return x
        >>> drop_blocks(fn, p, jnp.ones((1, 2)), pattern="(b.)/w", keep=2).kept
        ('b1', 'b2')

    Source: Men et al., ShortGPT, 2024, arXiv:2403.03853 (removal by the change of a layer).
    """
    found, flat = blocks(params, pattern), nodes(params)
    full, measure = Compiled(fn)(params, *args), score or _change
    scores = {name: measure(full, Compiled(without(fn, params, paths))(flat, *args)) for name, paths in found.items()}
    kept = _chosen(keep, scores, "blocks")
    gone = [path for name, paths in found.items() if name not in kept for path in paths]
    smaller = without(fn, params, gone)
    needed, before = used(smaller)(flat, *args), used(without(fn, params, ()))(flat, *args)
    lost = [path for path in before if path not in needed and path not in gone]
    if lost:
        names = sorted(set(found) - set(kept))
        raise ValueError(f"without {names} the weights at {lost[:4]} have no effect: a dropped block has to be a "
                         "residual branch, x + f(x), without the weights after the sum")  # fmt: skip
    return Dropped(smaller, {path: flat[path] for path in needed}, tuple(kept), scores)


def stacks(groups: Sequence[Group]) -> list[Group]:
    """Returns the groups whose units are layers of a stack that a scan runs over."""
    return [group for group in groups if group.frozen == LOOP_AXIS]


def drop_layers(
    fn: Callable[..., Any], params: Any, *args: Any, keep: Any, saliency: Any = None, stack: str | None = None
) -> Dropped:
    """Drops layers of a stack that a scan runs over, which leaves a shorter loop.

    Saves the bytes and the operations of the dropped layers; no benchmark measures the speed.

    Args:
        fn: Any JAX function whose first argument is the tree of weights.
        params: The weights.
        *args: Example arguments, concrete.
        keep: Number of layers to keep, or their indices.
        saliency: As for `shrink`; None takes the relative squared change of the results without each layer, and
            compiles and runs one program per layer.
        stack: Name of the group, if there are several stacks.

    Returns:
        The smaller model.

    Raises:
        ValueError: If there is no stack or several, or `keep` is out of range.

    Example:
        >>> fn = lambda p, x: jax.lax.scan(lambda h, w: (h + h @ w, None), x, p)[0]
        >>> small = drop_layers(fn, jnp.array([[[3.0]], [[0.0]], [[1.0]]]), jnp.ones((1, 1)), keep=2)
        >>> small.kept, small.params.shape
        ((0, 2), (2, 1, 1))

    Source: Men et al., ShortGPT, 2024, arXiv:2403.03853 (removal by the change of a layer).
    """
    found = {group.name: group for group in stacks(couplings(fn)(params, *args))}
    if stack is None and len(found) != 1:
        raise ValueError(f"there are {len(found)} stacks of layers ({', '.join(found) or 'no scan over weights'}); "
                         "name one as stack=, or use drop_blocks for blocks that are not in a scan")  # fmt: skip
    if stack is not None and stack not in found:
        raise ValueError(f"stack={stack!r} is not one of {', '.join(found) or 'the stacks, as there are none'}")
    group = found[stack] if stack is not None else next(iter(found.values()))
    places = range(group.units)
    if saliency is None:
        full = Compiled(fn)(params, *args)
        scores = {}
        for place in places:
            rest = [i for i in places if i != place] or [0]
            shorter = narrow(fn, params, {group.name: rest})
            scores[place] = _change(full, Compiled(shorter)(_shorter(params, group, rest), *args))
    else:
        units = score_units([group], params, named(saliency))[group.name]
        scores = {place: float(units[place]) for place in places}
    kept = _chosen(keep, scores, "layers")
    return Dropped(narrow(fn, params, {group.name: kept}), _shorter(params, group, kept), tuple(kept), scores)


def _shorter(params: Any, group: Group, kept: Sequence[int]) -> Any:
    """The tree with fewer layers in the stack."""
    members = {member.path: member for member in group.members}

    def shorter(path: str, leaf: Any) -> Any:
        member = members[path]
        return jnp.take(leaf, np.sort(member.positions[list(kept)].reshape(-1)), axis=member.axis)

    flat = {path: shorter(path, leaf) if path in members else leaf for path, leaf in nodes(params).items()}
    return jax.tree.unflatten(jax.tree.structure(params), list(flat.values()))
