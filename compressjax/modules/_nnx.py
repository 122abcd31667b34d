"""The wrapper for Flax NNX."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from compressjax.core import Compression
from compressjax.core._node import has_nodes
from compressjax.interpret import lift


class CompressionState(nnx.Variable):
    """Variable type of the state of a compression (masks, scales, centroids), for filters.

    Example:
        >>> from compressjax import prune
        >>> layer = NNXCompressed(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), prune.gradual(0.5, end=1))
        >>> state = layer.compression_state.get_value()
        >>> state.masks["kernel"].shape
        (2, 2)
    """


# Stored besides parameters: running statistics, but no random keys and no states of compressions.
STORED = nnx.Not(nnx.Any(nnx.RngState, CompressionState))


class NNXCompressed(nnx.Module):
    """An NNX module that runs on the compressed view of its parameters.

    .. math:: y = f(view(\\theta, s), x), \\qquad s \\leftarrow after\\_step(\\theta, s)

    The wrapped module stays unchanged under `.module`, so a checkpoint of the dense model loads there. The state `s`
    is one `CompressionState`; gradients and optimizers act on `nnx.Param` and ignore it. Changes of a forward pass to
    other variables (running statistics, random counters) are written back to the wrapped module.

    Train with `as_optax`, which also keeps masked weights and their moments at zero: build the optimizer on `.module`,
    and pass its state to `set_compression`. Or train with any optimizer: call `before_step(grads)` before each step,
    and `after_step()` after it. Methods that do not learn, such as masks and grids, need only `after_step`.

    Args:
        module: Any NNX module; it runs through `lift` if the view has nodes.
        compression: Any compression that acts on parameters; `core.partition` for one per layer.

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
        """Runs the inner module on the viewed parameters."""
        return self.call_viewed(_forward, *args, **kwargs)

    def call_viewed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `fn(module, *args, **kwargs)` on a copy of the inner module that holds the viewed parameters."""
        graph, params, rest = _split(self.module, nnx.Param, ...)
        viewed = self.compression.view(params, self.compression_state.get_value())

        def run(viewed: Any, rest: Any) -> Any:
            copy = nnx.merge(graph, viewed, rest)
            return fn(copy, *args, **kwargs), nnx.state(copy, nnx.Not(nnx.Param))

        if has_nodes(viewed):
            # Variables may be shared with the copy; mapping creates new ones that belong to the trace.
            out, after = lift(lambda v: run(v, jax.tree.map(lambda x: x, rest)), on_fallback="ignore")(viewed)
        else:
            out, after = run(viewed, rest)
        # Write back what the module lacks: whether it shares variables with the copy depends on the mode of Flax.
        held = dict(nnx.to_flat_state(nnx.state(self.module, nnx.Not(nnx.Param))))
        changed = [(path, leaf) for path, leaf in nnx.to_flat_state(after) if not _same(held.get(path), leaf)]
        if changed:
            nnx.update(self.module, nnx.from_flat_state(changed))
        return out

    def before_step(self, grads: Any, slopes: Any = None) -> Any:
        """Turns gradients through the view into gradients for the optimizer, and updates what the method learns.

        `grads` are taken at the current parameters of the inner module, `slopes` with respect to the state, for methods
        that learn from them. `as_optax` already calls this.
        """
        state, params = self.compression_state.get_value(), nnx.state(self.module, nnx.Param)
        received, after = self.compression.before_step(grads, params, state, slopes)
        self.compression_state.set_value(after)
        return received

    def after_step(self, stats: Any = None) -> None:
        """Updates the state for the parameters after the optimizer step, and the parameters if the method changes them.

        `stats` are statistics by path, for methods that read them.
        """
        before = nnx.state(self.module, nnx.Param)
        params, state = self.compression.after_step(before, self.compression_state.get_value(), stats)
        self.compression_state.set_value(state)
        if self.compression.learns:
            nnx.update(self.module, params)

    def set_compression(self, state: Any) -> None:
        """Sets the state, for example to that of `as_optax`, `optimizer.opt_state.compression`."""
        self.compression_state.set_value(_unwrap(state))

    def encode(self) -> dict[str, Any]:
        """Returns the form to store after training, `{"params": tree of arrays and nodes, "rest": other variables}`.

        .. math:: lift(functional(module))(encode(), x) = model(x)

        Both are nested dicts; `rest` has running statistics, but no random keys and no state of the compression.
        """
        _, params, rest, _ = _split(self.module, nnx.Param, STORED, ...)
        pure = nnx.to_pure_dict(params)
        return {
            "params": self.compression.encode(pure, self.compression_state.get_value()),
            "rest": nnx.to_pure_dict(rest),
        }


def functional(module: nnx.Module) -> Callable[..., Any]:
    """Returns the forward pass of a module as a pure function of its variables, for `lift` and `artifact.export`.

    Args:
        module: The *inner* module of a wrapper, in the mode to run it in, such as `eval()`; its values are not used.

    Returns:
        `apply(tree, *args, **kwargs)` with `tree` from `NNXCompressed.encode`; it ignores changes to variables.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax import lift, prune
        >>> model = NNXCompressed(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), prune.gradual(0.5, end=1))
        >>> lift(functional(model.module))(model.encode(), jnp.ones((4, 3))).shape
        (4, 2)
    """
    graph, params, rest, others = _split(module, nnx.Param, STORED, ...)

    def apply(tree: Any, *args: Any, **kwargs: Any) -> Any:
        # A split shares the variables of the module; mapping creates new ones.
        copies = [jax.tree.map(lambda x: x, state) for state in (params, rest, others)]
        for state, name in zip(copies, ("params", "rest")):
            nnx.replace_by_pure_dict(state, tree[name])
        return nnx.merge(graph, *copies)(*args, **kwargs)

    return apply


def _split(module: nnx.Module, *filters: Any) -> tuple[Any, ...]:
    # The return type in Flax does not tell the number of states.
    return tuple(nnx.split(module, *filters))


def _same(old: Any, new: Any) -> bool:
    return old is not None and old.get_value() is new.get_value()


def _unwrap(state: Any) -> Any:
    return jax.tree.map(lambda x: x.get_value() if isinstance(x, nnx.Variable) else x, state, is_leaf=_is_variable)


def _is_variable(x: Any) -> bool:
    return isinstance(x, nnx.Variable)


def _forward(module: nnx.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)
