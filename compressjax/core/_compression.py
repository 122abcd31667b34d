"""The contract of a compression method, and the helpers that build one."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from compressjax.core._checks import check_finite, is_concrete, read_statistics
from compressjax.core._layout import results
from compressjax.core._masks import Masks, dense_gradient, zero_masked
from compressjax.core._node import Node, dense
from compressjax.core._own import copied, unshared
from compressjax.core._select import Selector, kernels, selected
from compressjax.core._settings import check_stats
from compressjax.core._tree import nodes, values, with_values
from compressjax.core._unfit import each
from compressjax.numerics._numerics import straight_through

Values = dict[str, Any]
State = Any


class Compression(NamedTuple):
    """A compression method as a set of pure functions, like `optax.GradientTransformation`.

    Attributes:
        init: `init(params) -> state`; works on abstract values.
        view: `view(params, state) -> params'`: the input of the forward pass, differentiable; arrays, or nodes that
            `lift` runs.
        encode: `encode(params, state) -> tree with nodes`: the stored form; `materialize(encode) == materialize(view)`.
        masks: `masks(params, state) -> Masks`: the entries that the view keeps, and those that train.
        before_step: `before_step(grads, params, state, slopes=None) -> (grads, state)`: turns gradients of the loss
            through `view`, at the parameters before the step, into gradients for the optimizer, and updates what the
            method learns from them. `slopes` are gradients with respect to the state, for methods that need them.
        after_step: `after_step(params, state, stats=None) -> (params, state)`: the state for the parameters after the
            step. Only methods that learn change parameters here: removed weights to 0, a proximal step.
        learns: Whether the method needs the dense gradient, changes parameters, or trains its own state.
        name: Static description, written to manifests.
        needs: Names of the statistics that `after_step` reads.
    """

    init: Callable[[Any], State]
    view: Callable[[Any, State], Any]
    encode: Callable[[Any, State], Any]
    masks: Callable[[Any, State], Masks]
    before_step: Callable[..., tuple[Any, State]]
    after_step: Callable[..., tuple[Any, State]]
    learns: bool = False
    name: str = ""
    needs: tuple[str, ...] = ()


def on_values(
    name: str,
    *,
    encode: Callable[[Values, State], Mapping[str, Any]],
    init: Callable[[Values], State] | None = None,
    view: Callable[[Values, State], Mapping[str, Any]] | None = None,
    masks: Callable[[Values, State], Masks] = lambda flat, state: Masks(),
    before_step: Callable[[Values, Values, State], tuple[Mapping[str, Any], State]] | None = None,
    after_step: Callable[[Values, State, Any], tuple[Mapping[str, Any], State]] | None = None,
    learn: Callable[[State, State], State] | None = None,
    learns: bool = False,
    needs: tuple[str, ...] = (),
    select: Selector = kernels,
) -> Compression:
    """Builds a compression from functions on flat `{path: array}` dicts of the values that it acts on.

    Args:
        name: Static description such as `"gradual(sparsity=0.9)"`.
        encode: `(values, state) -> {path: node}`.
        init: `values -> state`, with the per-leaf parts keyed by path; None for no state.
        view: `(values, state) -> {path: array or node}`; None zeros the masked values, and passes the dense gradient
            if the method `learns`.
        masks: `(values, state) -> Masks`; keeps everything by default.
        before_step: `(grads, values before the step, state) -> (grads, state)`; None masks the gradients.
        after_step: `(values after the step, state, stats) -> (values, state)`; None changes nothing.
        learn: `(slopes, state) -> state`, called with the gradients with respect to the state if they are given.
        learns: As in `Compression`.
        needs: Names of the statistics that `after_step` reads.
        select: Selector of the values, used unless a rule of `partition` chooses.

    Returns:
        The compression on whole trees.

    Raises:
        ValueError: From `init` and `encode`, if a value that the method acts on has infinities or NaN, where known.

    Example:
        >>> c = on_values("twice", encode=lambda v, s: v, view=lambda v, s: {k: 2 * x for k, x in v.items()})
        >>> import jax.numpy as jnp
        >>> c.view({"kernel": jnp.ones((1, 1))}, c.init({"kernel": jnp.ones((1, 1))}))["kernel"].tolist()
        [[2.0]]
    """

    def pick(tree: Any) -> Values:
        return selected(tree, name, select)

    def start(params: Any) -> State:
        flat = pick(params)
        if init is None:
            return ()
        for path, x in flat.items():
            check_finite(name, path, x)
        return unshared(init(flat), flat)

    def stored(params: Any, state: State) -> Any:
        flat = pick(params)
        for path, x in flat.items():  # a mask or a grid would hide a NaN behind clean numbers
            check_finite(name, path, x)
        return with_values(params, encode(flat, state))

    def kept(flat: Values, state: State) -> Values:
        zeroed = zero_masked(flat, masks(flat, state).used)
        return dense_gradient(flat, zeroed) if learns else zeroed

    def on_grads(grads: Any, params: Any, state: State, slopes: Any = None) -> tuple[Any, State]:
        flat = pick(params)
        if before_step is None:
            grads = zero_masked(grads, masks(flat, state).moving)
        else:
            found = values(grads)
            received, state = before_step({path: found[path] for path in flat}, flat, state)
            grads = with_values(grads, received)
        return grads, state if learn is None or slopes is None else learn(slopes, state)

    def on_params(params: Any, state: State, stats: Any = None) -> tuple[Any, State]:
        check_stats(name, stats)
        if after_step is None:
            return params, state
        flat = pick(params)
        moved, state = after_step(flat, state, stats)
        return params if moved is flat else with_values(params, moved), state

    return Compression(
        init=start,
        view=lambda params, state: with_values(params, (view or kept)(pick(params), state)),
        encode=stored,
        masks=lambda params, state: masks(pick(params), state),
        before_step=on_grads,
        after_step=on_params,
        learns=learns,
        name=name,
        needs=needs,
    )


def from_encode(
    name: str,
    encode_leaf: Callable[..., Any],
    *,
    needs: tuple[str, ...] = (),
    check_leaf: Callable[[str, Any], Any] | None = None,
) -> Compression:
    """Builds a post-training compression from a function of one array.

    `view` is the materialized encoding with straight-through gradients, so the method also works in training.

    Args:
        name: Static description.
        encode_leaf: `(path, array, stats of that path or None) -> node`.
        needs: Names of the statistics that `encode_leaf` reads; if empty, statistics are optional.
        check_leaf: `(path, array)`, called for all leaves before the first is encoded; raises `UnfitError` for those
            whose shape does not fit.

    Returns:
        The compression.

    Raises:
        ValueError: From `after_step`, when a leaf has no usable statistics although `needs` names some.

    Example:
        >>> keep = from_encode("keep", lambda path, x, stats: x)
        >>> import jax.numpy as jnp
        >>> keep.encode({"kernel": jnp.ones((1, 1))}, keep.init({"kernel": jnp.ones((1, 1))}))["kernel"].tolist()
        [[1.0]]
    """

    def read(flat: Values, state: State, stats: Any) -> tuple[Values, State]:
        if needs:
            return flat, copied(read_statistics(name, needs, flat, stats))
        return flat, state if stats is None else copied({path: stats[path] for path in flat if path in stats})

    def encode(flat: Values, state: State) -> Values:
        stats = state if isinstance(state, dict) else {}
        if check_leaf is not None:
            each(name, flat, lambda path: check_leaf(path, flat[path]))
        return each(name, flat, lambda path: encode_once(path, flat[path], stats.get(path)))

    def encode_once(path: str, x: Any, stats: Any) -> Any:
        found = results()
        if found is None or not is_concrete(x):
            return encode_leaf(path, x, stats)
        if found.get((encode_leaf, path), (None,))[0] is not x:
            found[encode_leaf, path] = x, encode_leaf(path, x, stats)
        return found[encode_leaf, path][1]

    def view(flat: Values, state: State) -> Values:
        return {path: straight_through(flat[path], dense(leaf)) for path, leaf in encode(flat, state).items()}

    return on_values(name, encode=encode, view=view, after_step=read, needs=needs)


def identity() -> Compression:
    """Returns the compression that changes nothing.

    Returns:
        A compression that stores every value dense; the neutral element of `chain`.

    Example:
        >>> identity().name
        'identity'
    """
    same = on_values("identity", encode=lambda flat, state: flat, select=lambda path, leaf: True)
    return same._replace(encode=lambda params, state: params)


def acts_on(compression: Compression, params: Any, state: State) -> tuple[str, ...]:
    """Returns the values that a compression stores in another form, found by tracing `encode`.

    Args:
        compression: Any compression whose shapes do not depend on values.
        params: A tree of arrays and nodes, concrete or abstract.
        state: Its state.

    Returns:
        Value paths.

    Example:
        >>> import jax.numpy as jnp
        >>> acts_on(identity(), {"kernel": jnp.ones((1, 1))}, ())
        ()
    """
    found: list[str] = []

    def trace(params: Any, state: State) -> None:
        encoded = nodes(compression.encode(params, state))
        for path, leaf in nodes(params).items():
            found.extend(_replaced(path, leaf, encoded[path]))

    jax.eval_shape(trace, params, state)
    return tuple(found)


def _replaced(path: str, before: Any, after: Any) -> list[str]:
    if before is after:
        return []
    if not isinstance(before, Node) or type(before) is not type(after):
        return list(values({path: before}))
    found = []
    for name, role in before.roles.items():
        old, new = getattr(before, name), getattr(after, name)
        inner = path if name in before.aligned else f"{path}/{name}"
        parts = zip(old, new, strict=True) if isinstance(old, tuple) else [(old, new)]
        for i, (x, y) in enumerate(parts if role == "value" else []):
            found += _replaced(f"{inner}/{i}" if isinstance(old, tuple) else inner, x, y)
    return found
