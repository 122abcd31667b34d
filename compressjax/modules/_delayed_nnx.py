"""The wrapper of 8-bit floats with delayed scales for Flax NNX."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx

from compressjax.core._checks import described
from compressjax.modules._mixed_nnx import _forward, unbound, written
from compressjax.precision import Policy, delayed


class ScalingState(nnx.Variable):
    """Variable type of the scales of delayed scaling and their histories, for filters.

    Example:
        >>> import jax.numpy as jnp
        >>> model = NNXDelayed(nnx.Linear(2, 1, rngs=nnx.Rngs(0)), jnp.ones((1, 2)))
        >>> list(model.scaling_state.get_value())
        ['000.dot_general']
    """


class NNXDelayed(nnx.Module):
    """An NNX module whose products run in 8-bit floats, with scales from earlier steps in a variable.

    .. math:: s_{t+1} = \\partial L / \\partial s_t

    Take gradients with respect to `nnx.Param` and `ScalingState`, and give them to `overwrite`; an optimizer of
    `nnx.Param` ignores the states. The wrapped module stays unchanged under `.module`. Changes to other variables
    (running statistics, random counters) are written back. See `precision.delayed`.

    Args:
        module: Any NNX module.
        *examples: Arguments of a call as in training, concrete or abstract; they say which products have states.
        policy: A policy whose compute format is an 8-bit float.
        history: Steps that are remembered.
        margin: Powers of two by which scales are larger than needed.
        axis_name: Named axis of workers with different data.
        example_kwargs: Keywords of that call, such as `{"train": True}`.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.full((1, 2), 3.0)
        >>> model = NNXDelayed(nnx.Linear(2, 1, rngs=nnx.Rngs(0)), x, history=2)
        >>> wrt = nnx.DiffState(0, (nnx.Param, ScalingState))
        >>> for _ in range(2):
        ...     model.overwrite(nnx.grad(lambda m: m(x).sum(), argnums=wrt)(model))
        >>> model.scaling_state.get_value()["000.dot_general"].history[0].tolist()  # of x
        [3.0, 3.0]

    Source: Micikevicius et al., arXiv:2209.05433 (micikevicius2022).
    """

    def __init__(
        self,
        module: nnx.Module,
        *examples: Any,
        policy: Policy | str = "fp8",
        history: int = 16,
        margin: float = 0.0,
        axis_name: Any = None,
        example_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(module, nnx.Module):
            raise ValueError(f"NNXDelayed: {described(module)} is not an NNX module; Delayed wraps Linen modules, and "
                             "precision.delayed functions")  # fmt: skip
        self.module = module
        self.policy, self.history, self.margin, self.axis_name = policy, history, margin, axis_name
        function, params, rest = self._function(_forward)
        self.scaling_state = ScalingState(function.init(params, rest, *examples, **(example_kwargs or {})))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the inner module in 8-bit floats."""
        return self.call_delayed(_forward, *args, **kwargs)

    def call_delayed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `fn(module, *args, **kwargs)` on a copy of the inner module in 8-bit floats."""
        function, params, rest = self._function(fn)
        return written(self.module, function.apply(self.scaling_state.get_value(), params, rest, *args, **kwargs))

    def overwrite(self, grads: Any) -> None:
        """Sets the scaling states to their gradients, which are the new states; those of parameters are ignored."""
        new = nnx.state(grads, ScalingState)
        if not jax.tree.leaves(new):
            raise ValueError("NNXDelayed: the gradients have no scaling states; take them by nnx.grad(loss, "
                             "argnums=nnx.DiffState(0, (nnx.Param, ScalingState)))")  # fmt: skip
        if list(new) != ["scaling_state"]:
            raise ValueError(f"NNXDelayed: the states lie under {list(new)}, in the gradients of a larger model; call "
                             f"overwrite(grads[{next(iter(new))!r}]) with those of this module")  # fmt: skip
        nnx.update(self, new)

    def _function(self, fn: Callable[..., Any]) -> tuple[Any, Any, Any]:
        """The call as a function of parameters and other variables, and both of them."""
        run, params, rest = unbound(self.module, fn)
        settings = {"history": self.history, "margin": self.margin, "axis_name": self.axis_name}
        return delayed(run, self.policy, **settings), params, rest
