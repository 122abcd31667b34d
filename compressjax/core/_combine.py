"""Two combinators for two kinds of "and then": chain (one training) and sequence (successive phases)."""

from typing import Any, NamedTuple

import jax

from compressjax.core._compression import Compression
from compressjax.core._select import Selector, matches
from compressjax.core._tree import materialize, values
from compressjax.numerics._numerics import straight_through


class ChainState(NamedTuple):
    """States of the chained compressions, in order."""

    states: tuple[Any, ...]


class SequenceState(NamedTuple):
    """States of the first and the second phase."""

    first: Any
    second: Any


def _check_chain(parts: tuple[Compression, ...], params: Any, states: tuple[Any, ...]) -> None:
    """Refuses stages that look for a value which an earlier stage's nodes no longer have."""
    tree = params
    for i, part in enumerate(parts):
        try:
            missing = sorted(set(part.select(params)) - set(values(tree)))
            if not missing and i + 1 < len(parts):
                tree = jax.eval_shape(part.encode, tree, states[i])
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            raise ValueError(
                f"chain: {part.name} chooses shapes from the values, so nothing can follow it in one training; "
                f"use sequence({part.name}, {parts[i + 1].name})"
            ) from error
        if missing:
            raise ValueError(
                f"chain: {part.name} acts on {missing}, but after {parts[i - 1].name} the values are "
                f"{sorted(values(tree))}; put {part.name} first, or use sequence"
            )


def chain(*compressions: Compression) -> Compression:
    """Runs several compressions in the same training, on the same dense parameters.

    .. math:: view = C_n \\dots C_1 (v_n \\circ \\dots \\circ v_1), \\quad encode = e_n \\circ \\dots \\circ e_1

    where the projections `C_i` (masks, by `settle`) are applied again last, so that no later view disturbs them.
    Gradients are received right to left, each stage at the parameters that its own view saw; parameters are projected
    left to right.

    Args:
        *compressions: Acting left to right; masks come before grids and codebooks.

    Returns:
        One compression.

    Raises:
        ValueError: From `init`, when a stage would look for a value inside nodes that no longer have it.

    Example:
        >>> from compressjax.core import identity
        >>> chain(identity(), identity()).name
        'chain(identity, identity)'
    """
    name = f"chain({', '.join(c.name for c in compressions)})"

    def init(params: Any) -> ChainState:
        states = []
        seen = params
        for c in compressions:
            states.append(c.init(seen))
            seen = c.view(seen, states[-1])
        _check_chain(compressions, params, tuple(states))
        return ChainState(tuple(states))

    def update(state: ChainState, params: Any, grads: Any = None, stats: Any = None) -> ChainState:
        states = []
        for c, s in zip(compressions, state.states, strict=True):
            s = c.update(s, params, grads, stats)
            params = c.view(params, s)
            states.append(s)
        return ChainState(tuple(states))

    def constrain(tree: Any, state: ChainState) -> Any:
        for c, s in zip(compressions, state.states, strict=True):
            tree = c.constrain(tree, s)
        return tree

    def view(params: Any, state: ChainState) -> Any:
        outputs = []
        for c, s in zip(compressions, state.states, strict=True):
            params = c.view(params, s)
            outputs.append(params)
        for c, s, seen in zip(compressions, state.states, outputs, strict=True):
            settled = c.settle(params, seen, s)
            # A method that learns from the dense gradient must get it; the others' own views cut it where they do.
            params = settled if c.receiver is None and c.settler is None else _straight(params, settled)
        return params

    def settle(tree: Any, seen: Any, state: ChainState) -> Any:
        for c, s in zip(compressions, state.states, strict=True):
            tree = c.settle(tree, seen, s)
        return tree

    def receive(grads: Any, params: Any, state: ChainState) -> tuple[Any, ChainState]:
        seen = [params]
        for c, s in zip(compressions[:-1], state.states[:-1], strict=True):
            seen.append(c.view(seen[-1], s))
        states: list[Any] = []
        for c, s, x in zip(compressions[::-1], state.states[::-1], seen[::-1], strict=True):
            grads, after = c.receive(grads, x, s)
            states.append(after)
        return grads, ChainState(tuple(states[::-1]))

    def project(params: Any, state: ChainState) -> Any:
        for c, s in zip(compressions, state.states, strict=True):
            params = c.project(params, s)
        return params

    def encode(params: Any, state: ChainState) -> Any:
        for c, s in zip(compressions, state.states, strict=True):
            params = c.encode(params, s)
        return params

    return Compression(
        init=init,
        update=update,
        view=view,
        encode=encode,
        constrain=constrain,
        select=lambda tree: tuple(dict.fromkeys(path for c in compressions for path in c.select(tree))),
        restrict=lambda selector: chain(*(c.restrict(selector) for c in compressions)),
        name=name,
        needs=tuple(dict.fromkeys(need for c in compressions for need in c.needs)),
        receiver=receive if any(c.receiver for c in compressions) else None,
        projector=project if any(c.projector for c in compressions) else None,
        settler=settle if any(c.settler for c in compressions) else None,
    )


def _straight(tree: Any, projected: Any) -> Any:
    return jax.tree.map(lambda x, y: x if y is x else straight_through(x, y), tree, projected)


def sequence(first: Compression, second: Compression) -> Compression:
    """Encodes with `first`, then lets `second` act on the values inside first's nodes.

    .. math:: encode(p) = e_2(e_1(p)), \\qquad view(p) = dense(v_2(e_1(p)))

    Args:
        first: Any compression; low rank, say.
        second: Acts on what is left to compress: factors, centroids, dense leaves.

    Returns:
        One compression; a selector restricts `first`, and `second` to what lies at or below the selected leaves.

    Raises:
        ValueError: From `init`, when `second` selects nothing inside first's nodes, or learns from gradients that
            values inside them do not get.

    Example:
        >>> from compressjax.core import identity
        >>> sequence(identity(), identity()).name
        'sequence(identity, identity)'
    """

    learns = second.receiver is not None or second.projector is not None

    def init(params: Any) -> SequenceState:
        state = first.init(params)
        encoded = first.encode(params, state)
        if learns:
            _check_aligned(first, second, params, encoded)
        return SequenceState(state, second.init(encoded))

    def update(state: SequenceState, params: Any, grads: Any = None, stats: Any = None) -> SequenceState:
        s1 = first.update(state.first, params, grads, stats)
        # Values inside nodes have no gradients of their own, unless they are the dense values under their own paths.
        return SequenceState(s1, second.update(state.second, first.encode(params, s1), grads if learns else None))

    def view(params: Any, state: SequenceState) -> Any:
        encoded = first.encode(params, state.first)
        dense = materialize(second.view(encoded, state.second))
        seen = jax.tree.map(lambda p, d: d.astype(p.dtype), params, dense)
        # Encoding cuts the dense gradient that the first method's own view passes on.
        return seen if first.receiver is None else _straight(first.view(params, state.first), seen)

    def constrain(tree: Any, state: SequenceState) -> Any:
        tree = first.constrain(tree, state.first)
        return second.constrain(tree, state.second) if learns else tree

    def settle(tree: Any, seen: Any, state: SequenceState) -> Any:
        tree = first.settle(tree, seen, state.first)
        return second.settle(tree, seen, state.second) if learns else tree

    def receive(grads: Any, params: Any, state: SequenceState) -> tuple[Any, SequenceState]:
        s2 = state.second
        if learns:
            grads, s2 = second.receive(grads, first.encode(params, state.first), s2)
        grads, s1 = first.receive(grads, params, state.first)
        return grads, SequenceState(s1, s2)

    def project(params: Any, state: SequenceState) -> Any:
        params = first.project(params, state.first)
        return second.project(params, state.second) if learns else params

    def restrict(selector: Selector) -> Compression:
        def inside(path: str, leaf: Any) -> bool:
            # The second stage sees longer paths ("kernel/left"); it is restricted by their beginnings.
            parts = path.split("/")
            return any(matches(selector, "/".join(parts[:n]), leaf) for n in range(len(parts), 0, -1))

        return sequence(first.restrict(selector), second.restrict(inside))

    return Compression(
        init=init,
        update=update,
        view=view,
        encode=lambda params, state: second.encode(first.encode(params, state.first), state.second),
        constrain=constrain,
        select=first.select,
        restrict=restrict,
        name=f"sequence({first.name}, {second.name})",
        needs=first.needs,
        receiver=receive if first.receiver or second.receiver else None,
        projector=project if first.projector or second.projector else None,
        settler=settle if first.settler or second.settler else None,
    )


def _check_aligned(first: Compression, second: Compression, params: Any, encoded: Any) -> None:
    """Refuses a second phase that learns from gradients which only the dense parameters have."""
    inside = sorted(set(second.select(encoded)) - set(values(params)))
    if inside:
        raise ValueError(
            f"sequence: {second.name} learns from gradients, and {inside} inside the nodes of {first.name} get none; "
            f"encode with {first.name} first, then train the encoded tree with as_optax({second.name}, optimizer)"
        )
