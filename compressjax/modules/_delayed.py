"""The wrapper of 8-bit floats with delayed scales for Flax Linen."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn

from compressjax.core._checks import described
from compressjax.modules._mixed import _forward, unbound, written
from compressjax.precision import Policy, Scaling, delayed

# Flax names a collection so whose gradients are its new values; its `TrainState` overwrites them by itself.
SCALING = "_overwrite_with_gradient"


class Delayed(nn.Module):
    """A Linen module whose products run in 8-bit floats, with scales from earlier steps in a collection.

    .. math:: s_{t+1} = \\partial L / \\partial s_t

    The collection is `modules.SCALING`, the one of Flax for variables that are overwritten by their gradients. Take
    gradients with respect to `params` and to it; `flax.training.train_state.TrainState` then does the rest. Parameters
    keep their names and their type. The pass of `init` is plain, and its arguments say which products have states: give
    it those of training. See `precision.delayed`.

    Attributes:
        module: Any Linen module.
        policy: A policy whose compute format is an 8-bit float.
        history: Steps that are remembered.
        margin: Powers of two by which scales are larger than needed.
        axis_name: Named axis of workers with different data.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from flax.training.train_state import TrainState
        >>> model = Delayed(nn.Dense(1, use_bias=False), history=2)
        >>> x = jnp.full((1, 2), 3.0)
        >>> state = TrainState.create(apply_fn=model.apply, params=model.init(jax.random.key(0), x), tx=optax.sgd(0.1))
        >>> for _ in range(2):
        ...     grads = jax.grad(lambda variables: state.apply_fn(variables, x).sum())(state.params)
        ...     state = state.apply_gradients(grads=grads)
        >>> state.params[SCALING]["000.dot_general"].history[0].tolist()  # of x
        [3.0, 3.0]

    Source: Micikevicius et al., arXiv:2209.05433 (micikevicius2022).
    """

    module: nn.Module
    policy: Policy | str = "fp8"
    history: int = 16
    margin: float = 0.0
    axis_name: Any = None

    def setup(self) -> None:
        """Shares the scope of the inner module, so that parameters keep their names."""
        if not isinstance(self.module, nn.Module):
            raise ValueError(f"Delayed: {described(self.module)} is not a Linen module; NNXDelayed wraps NNX modules, "
                             "and precision.delayed functions")  # fmt: skip
        nn.share_scope(self, self.module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the inner module in 8-bit floats; arguments as for `call_delayed`."""
        return self.call_delayed(_forward, *args, **kwargs)

    def call_delayed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `fn(module, *args, **kwargs)` on the inner module in 8-bit floats; always the same `fn`."""
        if self.is_initializing():
            out = fn(self.module, *args, **kwargs)
            for site, state in self._function(fn).init(self._params(), *args, **kwargs).items():
                self.put_variable(SCALING, site, state)
            return out
        held = {site: x for site, x in self.variables.get(SCALING, {}).items() if isinstance(x, Scaling)}
        if not held:
            raise ValueError(f"Delayed: the variables have no scaling states in {SCALING!r}, only "
                             f"{sorted(self.variables)}; take them from init, as {{**model.init(key, x), 'params': "
                             "params}")  # fmt: skip
        return written(self, self._function(fn).apply(held, self._params(), *args, **kwargs))

    def _function(self, fn: Callable[..., Any]) -> Any:
        return delayed(
            unbound(self, fn), self.policy, history=self.history, margin=self.margin, axis_name=self.axis_name
        )

    def _params(self) -> Any:
        return self.variables.get("params", {})
