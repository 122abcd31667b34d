"""The contract of a compression method, and the two helpers that build one."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from compressjax.core._node import dense
from compressjax.core._select import Selector, kernels, matches, select
from compressjax.core._tree import values, with_values
from compressjax.numerics._numerics import straight_through

Values = dict[str, Any]
State = Any


class Compression(NamedTuple):
    """A compression method as pure functions, in the manner of `optax.GradientTransformation`.

    Attributes:
        init: `init(params) -> state`; works on abstract values.
        update: `update(state, params, grads=None, stats=None) -> state`; `params` are those after the step.
        view: `view(params, state) -> params'`: what the forward pass sees; differentiable.
        encode: `encode(params, state) -> tree of nodes`: what is stored; `materialize(encode) == view`.
        constrain: `constrain(tree, state) -> tree`: projects gradients, updates and moments.
        select: `select(tree) -> paths` that the method acts on; raises when there are none.
        restrict: `restrict(selector) -> Compression` on fewer leaves.
        name: Static description, written to manifests.
        needs: Names of the statistics that `update` reads.
        receiver: What `receive` calls; None for methods that constrain gradients and learn nothing from them.
        projector: What `project` calls; None for methods that leave parameters where the optimizer puts them.
        settler: What `settle` calls; None for methods whose `constrain` already says which entries are zero.
    """

    init: Callable[[Any], State]
    update: Callable[..., State]
    view: Callable[[Any, State], Any]
    encode: Callable[[Any, State], Any]
    constrain: Callable[[Any, State], Any]
    select: Callable[[Any], tuple[str, ...]]
    restrict: Callable[[Selector], "Compression"]
    name: str
    needs: tuple[str, ...] = ()
    receiver: Callable[[Any, Any, State], tuple[Any, State]] | None = None
    projector: Callable[[Any, State], Any] | None = None
    settler: Callable[[Any, Any, State], Any] | None = None

    def receive(self, grads: Any, params: Any, state: State) -> tuple[Any, State]:
        """Turns the cotangent that the view passes back into the gradient that the optimizer gets.

        A method whose view is straight-through gets the dense gradient `dL/dview` here. What the method itself learns
        (scores, gates, thresholds) moves here too.

        Args:
            grads: Gradients of the loss through `view`, in the structure of the parameters.
            params: Parameters *before* the step, those at which the gradients were taken.
            state: The state that `view` had.

        Returns:
            Gradients for the optimizer and the state; by default `(constrain(grads, state), state)`.
        """
        if self.receiver is None:
            return self.constrain(grads, state), state
        return self.receiver(grads, params, state)

    def project(self, params: Any, state: State) -> Any:
        """Moves parameters to where the method wants them after the step: dropped weights to 0, a proximal step.

        Args:
            params: Parameters after the optimizer's step.
            state: The state after `update`.

        Returns:
            Parameters; by default those given.
        """
        return params if self.projector is None else self.projector(params, state)

    def settle(self, tree: Any, seen: Any, state: State) -> Any:
        """Puts the zeros of this method's view back into what later views made of it.

        It differs from `constrain` where weights that are not used still learn.

        Args:
            tree: Parameters after later views.
            seen: What this method's own view gave.
            state: The state that the view had.

        Returns:
            Parameters; by default `constrain(tree, state)`.
        """
        return self.constrain(tree, state) if self.settler is None else self.settler(tree, seen, state)


def on_values(
    name: str,
    *,
    encode: Callable[[Values, State], Mapping[str, Any]],
    init: Callable[[Values], State] = lambda flat: (),
    update: Callable[[State, Values, Values | None, Any], State] = lambda state, flat, grads, stats: state,
    view: Callable[[Values, State], Mapping[str, Any]] = lambda flat, state: flat,
    constrain: Callable[[Values, State], Mapping[str, Any]] | None = None,
    receive: Callable[[Values, Values, State], tuple[Mapping[str, Any], State]] | None = None,
    project: Callable[[Values, State], Mapping[str, Any]] | None = None,
    settle: Callable[[Values, Values, State], Mapping[str, Any]] | None = None,
    selectors: tuple[Selector, ...] = (),
    needs: tuple[str, ...] = (),
) -> Compression:
    """Builds a compression from functions on flat `{path: array}` dicts of the selected values.

    Args:
        name: Static description such as `"gradual(sparsity=0.9)"`.
        encode: `(values, state) -> {path: node}`.
        init: `values -> state`; keys its per-leaf parts by path.
        update: `(state, values, grads or None, stats) -> state`.
        view: `(values, state) -> values`.
        constrain: `(values, state) -> values` on any values with the selected paths; identity when None.
        receive: `(grads, values before the step, state) -> (grads, state)`; `constrain` when None.
        project: `(values after the step, state) -> values`; identity when None.
        settle: `(values after later views, values of the own view, state) -> values`; `constrain` when None.
        selectors: All must select a value; kernels when empty.
        needs: Names of the statistics that `update` reads.

    Returns:
        The compression on whole trees.

    Example:
        >>> c = on_values("twice", encode=lambda v, s: v, view=lambda v, s: {k: 2 * x for k, x in v.items()})
        >>> import jax.numpy as jnp
        >>> c.view({"kernel": jnp.ones((1, 1))}, c.init({"kernel": jnp.ones((1, 1))}))["kernel"].tolist()
        [[2.0]]
    """

    def chosen(tree: Any) -> tuple[str, ...]:
        return select(tree, selectors, name)

    def pick(tree: Any) -> Values:
        flat = values(tree)
        return {path: flat[path] for path in chosen(tree)}

    def init_tree(params: Any) -> State:
        return init(pick(params))

    def update_tree(state: State, params: Any, grads: Any = None, stats: Any = None) -> State:
        flat = pick(params)
        flat_grads = None if grads is None else {path: values(grads)[path] for path in flat}
        return update(state, flat, flat_grads, stats)

    def view_tree(params: Any, state: State) -> Any:
        return with_values(params, view(pick(params), state))

    def encode_tree(params: Any, state: State) -> Any:
        return with_values(params, encode(pick(params), state))

    def constrain_tree(tree: Any, state: State) -> Any:
        if constrain is None:
            return tree
        # Moments of a partitioned optimizer lack some leaves; what is absent needs no projection.
        flat = values(tree)
        present = {path: x for path, x in flat.items() if all(_selects(s, path, x) for s in selectors or (None,))}
        return with_values(tree, constrain(present, state)) if present else tree

    def receive_tree(grads: Any, params: Any, state: State) -> tuple[Any, State]:
        flat, found = pick(params), values(grads)
        received, state = receive({path: found[path] for path in flat}, flat, state)  # type: ignore[misc]
        return with_values(grads, received), state

    def project_tree(params: Any, state: State) -> Any:
        return with_values(params, project(pick(params), state))  # type: ignore[misc]

    def settle_tree(tree: Any, seen: Any, state: State) -> Any:
        return with_values(tree, settle(pick(tree), pick(seen), state))  # type: ignore[misc]

    def restrict(selector: Selector) -> Compression:
        return on_values(
            name, encode=encode, init=init, update=update, view=view, constrain=constrain, receive=receive,
            project=project, settle=settle, selectors=(*selectors, selector), needs=needs,
        )  # fmt: skip

    return Compression(
        init_tree, update_tree, view_tree, encode_tree, constrain_tree, chosen, restrict, name, needs,
        receiver=receive_tree if receive else None, projector=project_tree if project else None,
        settler=settle_tree if settle else None,
    )  # fmt: skip


def _selects(selector: Selector | None, path: str, leaf: Any) -> bool:
    return matches(kernels if selector is None else selector, path, leaf)


def from_encode(name: str, encode_leaf: Callable[..., Any], *, needs: tuple[str, ...] = ()) -> Compression:
    """Builds a post-training compression from a function of one array.

    `view` is the materialized encoding with straight-through gradients, so the method can also be trained through.

    Args:
        name: Static description.
        encode_leaf: `(path, array, stats of that path or None) -> node`.
        needs: Names of the statistics that `encode_leaf` reads; without any, statistics are optional.

    Returns:
        The compression.

    Raises:
        ValueError: From `update`, when statistics that `needs` names are missing for a leaf.

    Example:
        >>> keep = from_encode("keep", lambda path, x, stats: x)
        >>> import jax.numpy as jnp
        >>> keep.encode({"kernel": jnp.ones((1, 1))}, keep.init({"kernel": jnp.ones((1, 1))}))["kernel"].tolist()
        [[1.0]]
    """

    def update(state: State, flat: Values, grads: Values | None, stats: Any) -> State:
        del grads
        if stats is None and not needs:
            return state
        missing = sorted(set(flat) - set(stats or {}))
        if missing and needs:
            raise ValueError(f"{name} reads statistics {needs}, absent for {missing}; run observe and pass stats=")
        return {path: stats[path] for path in flat if path in stats}

    def encode(flat: Values, state: State) -> Values:
        stats = state if isinstance(state, dict) else {}
        return {path: encode_leaf(path, x, stats.get(path)) for path, x in flat.items()}

    def view(flat: Values, state: State) -> Values:
        return {path: straight_through(flat[path], dense(leaf)) for path, leaf in encode(flat, state).items()}

    return on_values(name, encode=encode, update=update, view=view, needs=needs)


def identity() -> Compression:
    """The compression that changes nothing: the unit of `chain`.

    Returns:
        A compression that selects every value and stores it dense.

    Example:
        >>> identity().name
        'identity'
    """

    def everything(path: str, leaf: Any) -> bool:
        del path, leaf
        return True

    return on_values("identity", encode=lambda flat, state: flat, selectors=(everything,))


def only(selector: Selector, compression: Compression) -> Compression:
    """Restricts a compression to the values that a selector selects (kernels or not).

    Args:
        selector: Regular expression for the whole path, or `(path, leaf) -> bool`.
        compression: Any compression.

    Returns:
        The restricted compression; it raises `ValueError` at `init` when nothing is selected.

    Example:
        >>> only(".*Dense_0/kernel", identity()).name
        'identity'
    """
    return compression.restrict(selector)
