"""The wrapper for Flax NNX."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from compressjax.core import Compression, is_node
from compressjax.interpret import lift


class CompressionState(nnx.Variable):
    """The state of a compression (masks, scales, centroids) as a variable type, for filters.

    Example:
        >>> from compressjax import prune
        >>> layer = NNXCompressed(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), prune.gradual(0.5, end=1))
        >>> state = layer.compression_state.get_value()
        >>> state.masks["kernel"].shape
        (2, 2)
    """


# Besides parameters: running statistics, but neither random keys nor states of compressions.
STORED = nnx.Not(nnx.Any(nnx.RngState, CompressionState))


class NNXCompressed(nnx.Module):
    """An NNX module whose forward pass sees its parameters through a compression.

    .. math:: y = f(view(\\theta, s), x), \\qquad s \\leftarrow after\\_step(\\theta, s)

    The wrapped module stays as it is under `.module`, so a checkpoint of the dense model loads there. The state `s`
    is one `CompressionState`; gradients and optimizers, which act on `nnx.Param`, do not touch it. What a forward
    pass changes besides parameters (running statistics, random counters) is written back to the wrapped module.

    Two ways to train. With `as_optax`, which also keeps masked weights and their moments at rest: build the optimizer
    on `.module`, and hand its state over with `set_compression`. With any optimizer: `before_step(grads)` before each
    step and `after_step()` after it; masks and grids need the latter only.

    A compression for each layer is a `core.partition`. Where a view has nodes, the module runs through `lift`.

    Args:
        module: Any NNX module.
        compression: Any compression that acts on parameters.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from compressjax import as_optax, prune
        >>> compression = prune.gradual(0.5, end=3, every=1)
        >>> model = NNXCompressed(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), compression)
        >>> optimizer = nnx.Optimizer(model.module, as_optax(compression, optax.adamw(0.1)), wrt=nnx.Param)
        >>> @nnx.jit
        ... def step(model, optimizer, x, y):
        ...     grads = nnx.grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
        ...     optimizer.update(model.module, grads["module"])
        ...     model.set_compression(optimizer.opt_state.compression)
        >>> for _ in range(3):
        ...     step(model, optimizer, jnp.ones((4, 3)), jnp.zeros((4, 2)))
        >>> int(model.compression_state.get_value().masks["kernel"].sum())
        3
        >>> type(model.encode()["params"]["kernel"]).__name__
        'Masked'
    """

    def __init__(self, module: nnx.Module, compression: Compression) -> None:
        self.module = module
        self.compression = compression
        self.compression_state = CompressionState(compression.init(nnx.state(module, nnx.Param)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The inner module's forward pass on the viewed parameters."""
        return self.call_viewed(_forward, *args, **kwargs)

    def call_viewed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the inner module while its parameters are viewed.

        Args:
            fn: `fn(module, *args, **kwargs)`; it sees a copy whose parameters are the viewed ones.
            *args: Passed on.
            **kwargs: Passed on.

        Returns:
            What the function returns.
        """
        graph, params, rest = _split(self.module, nnx.Param, ...)
        viewed = self.compression.view(params, self.compression_state.get_value())

        def run(viewed: Any, rest: Any) -> Any:
            seen = nnx.merge(graph, viewed, rest)
            return fn(seen, *args, **kwargs), nnx.state(seen, nnx.Not(nnx.Param))

        if any(map(is_node, jax.tree.leaves(viewed, is_leaf=is_node))):
            # Variables may be shared with the copy; mapping makes new ones, which belong to the trace.
            out, after = lift(lambda v: run(v, jax.tree.map(lambda x: x, rest)), on_fallback="ignore")(viewed)
        else:
            out, after = run(viewed, rest)
        # Variables are shared with the copy or not, depending on flax's mode; what the module lacks is written back.
        held = dict(nnx.to_flat_state(nnx.state(self.module, nnx.Not(nnx.Param))))
        changed = [(path, leaf) for path, leaf in nnx.to_flat_state(after) if not _same(held.get(path), leaf)]
        if changed:
            nnx.update(self.module, nnx.from_flat_state(changed))
        return out

    def before_step(self, grads: Any, slopes: Any = None) -> Any:
        """Turns gradients through the view into those for the optimizer; what the method learns moves in its state.

        Args:
            grads: Gradients of the inner module, taken at its present parameters.
            slopes: Gradients with respect to the state, for methods that learn by them.

        Returns:
            Gradients for its optimizer; `as_optax` calls this by itself.
        """
        state, params = self.compression_state.get_value(), nnx.state(self.module, nnx.Param)
        received, after = self.compression.before_step(grads, params, state, slopes)
        self.compression_state.set_value(after)
        return received

    def after_step(self, stats: Any = None) -> None:
        """Brings the state up to the parameters after the optimizer's step, and these to where the method wants them.

        Args:
            stats: Statistics by path, for methods that read them.
        """
        before = nnx.state(self.module, nnx.Param)
        params, state = self.compression.after_step(before, self.compression_state.get_value(), stats)
        self.compression_state.set_value(state)
        if self.compression.learns:
            nnx.update(self.module, params)

    def set_compression(self, state: Any) -> None:
        """Takes over the state that `as_optax` keeps.

        Args:
            state: `optimizer.opt_state.compression`, or any state of the compression.
        """
        self.compression_state.set_value(_unwrap(state))

    def encode(self) -> dict[str, Any]:
        """What to store after training.

        .. math:: lift(functional(module))(encode(), x) = model(x)

        Returns:
            `{"params": tree of arrays and nodes, "rest": other variables}`, both nested dicts; `rest` has running
            statistics, and neither random keys nor the state of the compression.
        """
        _, params, rest, _ = _split(self.module, nnx.Param, STORED, ...)
        pure = nnx.to_pure_dict(params)
        return {
            "params": self.compression.encode(pure, self.compression_state.get_value()),
            "rest": nnx.to_pure_dict(rest),
        }


def functional(module: nnx.Module) -> Callable[..., Any]:
    """The forward pass of a module as a function of its variables, as `lift` and `artifact.export` need it.

    Args:
        module: The *inner* module of a wrapper, in the mode (`eval()`) in which it is to run; its values are not used.

    Returns:
        `apply(tree, *args, **kwargs)` with `tree` as from `NNXCompressed.encode`; pure: what a pass would change in
        the module is dropped.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax import lift, prune
        >>> model = NNXCompressed(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), prune.gradual(0.5, end=1))
        >>> lift(functional(model.module))(model.encode(), jnp.ones((4, 3))).shape
        (4, 2)
    """
    graph, params, rest, others = _split(module, nnx.Param, STORED, ...)

    def apply(tree: Any, *args: Any, **kwargs: Any) -> Any:
        # Variables of a split are those of the module; mapping makes new ones.
        copies = [jax.tree.map(lambda x: x, state) for state in (params, rest, others)]
        for state, name in zip(copies, ("params", "rest")):
            nnx.replace_by_pure_dict(state, tree[name])
        return nnx.merge(graph, *copies)(*args, **kwargs)

    return apply


def _split(module: nnx.Module, *filters: Any) -> tuple[Any, ...]:
    # The result's type in flax does not tell how many states there are.
    return tuple(nnx.split(module, *filters))


def _same(old: Any, new: Any) -> bool:
    return old is not None and old.get_value() is new.get_value()


def _unwrap(state: Any) -> Any:
    return jax.tree.map(lambda x: x.get_value() if isinstance(x, nnx.Variable) else x, state, is_leaf=_is_variable)


def _is_variable(x: Any) -> bool:
    return isinstance(x, nnx.Variable)


def _forward(module: nnx.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)
