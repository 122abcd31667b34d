"""Two combinators for two kinds of "and then": chain (one training) and sequence (successive phases)."""

from typing import Any, NamedTuple

import jax

from compressjax.core._compression import Compression
from compressjax.core._select import Selector, matches
from compressjax.core._tree import materialize, values


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

    where the projections `C_i` (masks) are applied again last, so that no later view disturbs them.

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
        for c, s in zip(compressions, state.states, strict=True):
            params = c.view(params, s)
        return constrain(params, state)

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
    )


def sequence(first: Compression, second: Compression) -> Compression:
    """Encodes with `first`, then lets `second` act on the values inside first's nodes.

    .. math:: encode(p) = e_2(e_1(p)), \\qquad view(p) = dense(v_2(e_1(p)))

    Args:
        first: Any compression; low rank, say.
        second: Acts on what is left to compress: factors, centroids, dense leaves.

    Returns:
        One compression; a selector restricts `first`, and `second` to what lies at or below the selected leaves.

    Raises:
        ValueError: From `init`, when `second` selects nothing inside first's nodes.

    Example:
        >>> from compressjax.core import identity
        >>> sequence(identity(), identity()).name
        'sequence(identity, identity)'
    """

    def init(params: Any) -> SequenceState:
        state = first.init(params)
        return SequenceState(state, second.init(first.encode(params, state)))

    def update(state: SequenceState, params: Any, grads: Any = None, stats: Any = None) -> SequenceState:
        s1 = first.update(state.first, params, grads, stats)
        return SequenceState(s1, second.update(state.second, first.encode(params, s1)))

    def view(params: Any, state: SequenceState) -> Any:
        encoded = first.encode(params, state.first)
        dense = materialize(second.view(encoded, state.second))
        return jax.tree.map(lambda p, d: d.astype(p.dtype), params, dense)

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
        constrain=lambda tree, state: first.constrain(tree, state.first),
        select=first.select,
        restrict=restrict,
        name=f"sequence({first.name}, {second.name})",
        needs=first.needs,
    )
