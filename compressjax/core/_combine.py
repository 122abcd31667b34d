"""Combines compressions: chain (in one training run) and sequence (in successive phases)."""

from typing import Any, NamedTuple

import jax

from compressjax.core._compression import Compression, acts_on
from compressjax.core._masks import Masks, dense_gradient, intersect, zero_masked
from compressjax.core._node import dense, is_node
from compressjax.core._settings import check_compressions
from compressjax.core._tree import nodes, values, with_values


class ChainState(NamedTuple):
    """States of the chained compressions, in order."""

    states: tuple[Any, ...]


class SequenceState(NamedTuple):
    """States of the first and the second phase."""

    first: Any
    second: Any


def chain(*compressions: Compression) -> Compression:
    """Runs several compressions in the same training run, on the same dense parameters.

    .. math:: view = M_n \\dots M_1 (v_n \\circ \\dots \\circ v_1), \\quad encode = e_n \\circ \\dots \\circ e_1

    where the masks `M_i` are applied again last, so that no later view changes their zeros. `before_step` runs right to
    left, each stage at the input of its own view. `after_step` runs left to right, on the output of the earlier views.

    Args:
        *compressions: Applied left to right; put masks before grids and codebooks.

    Returns:
        One compression.

    Raises:
        ValueError: From `init`, when a stage acts on a value that the nodes of an earlier stage no longer have.

    Example:
        >>> from compressjax.core import identity
        >>> chain(identity(), identity()).name
        'chain(identity, identity)'
    """

    check_compressions("chain", *compressions)

    def shown(params: Any, states: tuple[Any, ...]) -> list[Any]:
        """The parameters, and their view after each stage that has a state."""
        trees = [params]
        for c, s in zip(compressions, states):
            trees.append(_view(c, s, trees[-1], params))
        return trees

    def viewed(params: Any, states: tuple[Any, ...]) -> list[Any]:
        return [_arrays(tree, params) for tree in shown(params, states[:-1])]

    def init(params: Any) -> ChainState:
        trees: list[Any] = [params]
        states: list[Any] = []
        for c in compressions:
            states.append(c.init(_arrays(trees[-1], params)))
            trees.append(_view(c, states[-1], trees[-1], params))
        _check_chain(compressions, params, states, trees)
        return ChainState(tuple(states))

    def view(params: Any, state: ChainState) -> Any:
        trees = shown(params, state.states)
        out = trees[-1]
        for c, s, tree in list(zip(compressions, state.states, trees))[:-1]:
            out = _mask_again(c, s, _arrays(tree, params), out)
        return out

    def encode(params: Any, state: ChainState) -> Any:
        for c, s in zip(compressions, state.states, strict=True):
            params = c.encode(params, s)
        return params

    def masks(params: Any, state: ChainState) -> Masks:
        found = Masks({}, {})
        for c, s, tree in zip(compressions, state.states, viewed(params, state.states), strict=True):
            found = intersect(found, c.masks(tree, s))
        return found

    def before_step(grads: Any, params: Any, state: ChainState, slopes: Any = None) -> tuple[Any, ChainState]:
        own = [None] * len(compressions) if slopes is None else slopes.states
        states: list[Any] = []
        steps = list(zip(compressions, state.states, viewed(params, state.states), own, strict=True))
        for c, s, tree, slope in steps[::-1]:
            grads, after = c.before_step(grads, tree, s, slope)
            states.append(after)
        return grads, ChainState(tuple(states[::-1]))

    def after_step(params: Any, state: ChainState, stats: Any = None) -> tuple[Any, ChainState]:
        tree, states = params, list(state.states)
        for i, (c, s) in enumerate(zip(compressions, state.states, strict=True)):
            moved, states[i] = c.after_step(_arrays(tree, params), s, stats)
            if c.learns and tree is not params:
                # Move the dense parameters, not their view through the earlier stages.
                moved = c.after_step(params, s, stats)[0]
            if c.learns and moved is not params:
                params = moved
                tree = shown(params, tuple(states[: i + 1]))[-1]
            elif i + 1 < len(compressions):
                tree = _view(c, states[i], tree, params)
        return params, ChainState(tuple(states))

    return Compression(
        init=init,
        view=view,
        encode=encode,
        masks=masks,
        before_step=before_step,
        after_step=after_step,
        learns=any(c.learns for c in compressions),
        name=f"chain({', '.join(c.name for c in compressions)})",
        needs=tuple(dict.fromkeys(need for c in compressions for need in c.needs)),
    )


def _alike(first: Any, second: Any) -> bool:
    structure: Any = jax.tree.structure(first)
    return bool(structure == jax.tree.structure(second))


def _arrays(tree: Any, params: Any) -> Any:
    """A viewed tree with arrays where the parameters have arrays."""
    if _alike(tree, params):
        return tree
    return jax.tree.map(lambda p, x: dense(x) if is_node(x) else x, params, tree)


def _view(c: Compression, state: Any, tree: Any, params: Any) -> Any:
    """The view of one stage; goes inside of the nodes of earlier stages that hold the tensor entry by entry."""
    arrays = _arrays(tree, params)
    out = c.view(arrays, state)
    if arrays is tree:
        return out

    def leaf(p: Any, x: Any, a: Any, y: Any) -> Any:
        if y is a:
            return x
        return with_values({"w": x}, {"w": y})["w"] if is_node(x) and "w" in values({"w": x}) else y

    return jax.tree.map(leaf, params, tree, arrays, out)


def _mask_again(c: Compression, state: Any, tree: Any, out: Any) -> Any:
    """Applies the mask of a stage again to the view of later stages."""
    used = c.masks(tree, state).used or {}
    # A method that learns needs the dense gradient; other methods stop it in their own views.
    masked = zero_masked(out, used)
    masked = dense_gradient(out, masked) if c.learns else masked
    own = values(out)
    hidden = {path: x for path, x in nodes(out).items() if path in used and path not in own and is_node(x)}
    if not hidden:
        return masked
    if c.learns:
        raise ValueError(
            f"chain: {c.name} learns from the dense gradient, but a later view replaces {sorted(hidden)} by nodes, "
            f"which do not pass it; choose masks that do not learn, or a later stage that views arrays"
        )
    # Wrap the later stage's node in the node of the mask.
    stored = nodes(c.encode(tree, state))
    around = {path: with_values({path: stored[path]}, {path: x})[path] for path, x in hidden.items()}
    return jax.tree.map(lambda x, path: around.get(path, x), masked, _paths(out), is_leaf=is_node)


def _paths(tree: Any) -> Any:
    structure = jax.tree.structure(tree, is_leaf=is_node)
    return jax.tree.unflatten(structure, list(nodes(tree)))


def _check_chain(parts: tuple[Compression, ...], params: Any, states: list[Any], trees: list[Any]) -> None:
    """Raises if a stage acts on a value that an earlier stage removes, or views as a node."""
    tree = params
    for i, part in enumerate(parts):
        gone = set(values(params)) - set(values(tree))
        hidden = _hidden(trees[i], params) - gone
        try:
            acted = set(acts_on(part, params, states[i])) if gone or hidden else set[str]()
            if not acted & gone and (gone or i + 1 < len(parts)):
                tree = jax.eval_shape(part.encode, tree, states[i])
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            raise ValueError(
                f"chain: {part.name} chooses shapes from the values, so it cannot be chained with other stages in one "
                f"training run; use sequence({', '.join(c.name for c in parts)})"
            ) from error
        if acted & gone:
            raise ValueError(
                f"chain: {part.name} acts on {sorted(acted & gone)}, but after {parts[i - 1].name} the values are "
                f"{sorted(values(tree))}; put {part.name} first, or use sequence"
            )
        if acted & hidden:
            raise ValueError(
                f"chain: {part.name} acts on {sorted(acted & hidden)}, which an earlier stage views as nodes; put "
                f"{part.name} first"
            )


def _hidden(tree: Any, params: Any) -> set[str]:
    """Values that a view replaces by nodes which do not hold them entry by entry."""
    return set() if _alike(tree, params) else set(values(params)) - set(values(tree))


def sequence(first: Compression, second: Compression) -> Compression:
    """Encodes with `first`, then applies `second` to the values inside the nodes of `first`.

    .. math:: encode(p) = e_2(e_1(p)), \\qquad view(p) = dense(v_2(e_1(p)))

    Args:
        first: Any compression, such as low rank.
        second: Acts on the values that remain: factors, centroids, dense leaves.

    Returns:
        One compression. A rule chooses leaves for `first`; `second` acts on those leaves and on values inside them.

    Raises:
        ValueError: From `init`, when `second` selects nothing in the encoded tree, or learns from gradients that
            values inside nodes do not get.

    Example:
        >>> from compressjax.core import identity
        >>> sequence(identity(), identity()).name
        'sequence(identity, identity)'
    """

    check_compressions("sequence", first, second)

    def init(params: Any) -> SequenceState:
        state = first.init(params)
        encoded = first.encode(params, state)
        after = second.init(encoded)
        if second.learns:
            _check_aligned(first, second, params, encoded, after)
        return SequenceState(state, after)

    def view(params: Any, state: SequenceState) -> Any:
        encoded = first.encode(params, state.first)
        viewed = second.view(encoded, state.second)
        shown = first.view(params, state.first)
        # Encoding stops the dense gradient that the view of `first` passes.
        source = _arrays(shown, params) if first.learns else params

        def leaf(p: Any, e: Any, v: Any, s: Any, f: Any) -> Any:
            if v is p:
                return p
            own = is_node(v) and (is_node(f) or not _alike(v, e))
            if own and first.learns and e is not p:
                raise ValueError(
                    f"sequence: {first.name} learns from the dense gradient, but {second.name} views nodes, which do "
                    f"not pass it; encode with {first.name} first, or choose a second phase that views arrays"
                )
            array = v if own else dense(v).astype(p.dtype)
            return dense_gradient(s, array) if first.learns and e is not p else array

        return jax.tree.map(leaf, params, encoded, viewed, source, shown)

    def masks(params: Any, state: SequenceState) -> Masks:
        inner = second.masks(first.encode(params, state.first), state.second)
        # Only values with a parameter's path are trained; ignore masks of values inside factors.
        own = values(params)
        used, moving = ({p: m for p, m in (x or {}).items() if p in own} for x in (inner.used, inner.moving))
        return intersect(first.masks(params, state.first), Masks(used, moving))

    def before_step(grads: Any, params: Any, state: SequenceState, slopes: Any = None) -> tuple[Any, SequenceState]:
        encoded, s2 = first.encode(params, state.first), state.second
        one, two = (None, None) if slopes is None else (slopes.first, slopes.second)
        if second.learns:
            after, s2 = second.before_step(_inside(grads, encoded), encoded, s2, two)
            grads = _outside(grads, after)
        else:
            grads = zero_masked(grads, second.masks(encoded, s2).moving)
        grads, s1 = first.before_step(grads, params, state.first, one)
        return grads, SequenceState(s1, s2)

    def after_step(params: Any, state: SequenceState, stats: Any = None) -> tuple[Any, SequenceState]:
        params, s1 = first.after_step(params, state.first, stats)
        # Values that keep their path, as under a mask, keep their statistics.
        encoded = first.encode(params, s1)
        _, s2 = second.after_step(encoded, state.second, stats if second.needs else None)
        if second.learns:
            after, _ = second.after_step(_inside(params, encoded), state.second)
            params = _outside(params, after)
        return params, SequenceState(s1, s2)

    return Compression(
        init=init,
        view=view,
        encode=lambda params, state: second.encode(first.encode(params, state.first), state.second),
        masks=masks,
        before_step=before_step,
        after_step=after_step,
        learns=first.learns or second.learns,
        name=f"sequence({first.name}, {second.name})",
        needs=tuple(dict.fromkeys((*first.needs, *second.needs))),
    )


def _inside(tree: Any, encoded: Any) -> Any:
    """A tree like the parameters, with the nodes of `encoded` that hide their values: `init` saw these as well."""
    own = values(encoded)
    return jax.tree.map(
        lambda x, node, path: node if is_node(node) and path not in own else x, tree, encoded, _paths(encoded)
    )


def _outside(tree: Any, inside: Any) -> Any:
    """A tree with what became of the values of `_inside` that are its own."""
    return jax.tree.map(lambda x, y: x if is_node(y) else y, tree, inside)


def _check_aligned(first: Compression, second: Compression, params: Any, encoded: Any, state: Any) -> None:
    """Raises if the second phase learns from gradients that only the dense parameters have."""
    hidden = set(values(encoded)) - set(values(params))
    # One that stores nothing of its own, a proximal step say, may act on any of them.
    inside = sorted(hidden & set(acts_on(second, encoded, state) or hidden)) if hidden else []
    if inside:
        raise ValueError(
            f"sequence: {second.name} learns from gradients, and {inside} inside the nodes of {first.name} get none; "
            f"encode with {first.name} first, then train the encoded tree with as_optax({second.name}, optimizer)"
        )
