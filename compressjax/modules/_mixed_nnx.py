"""The wrapper of mixed precision for Flax NNX."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from compressjax.modules._nnx import _split
from compressjax.precision import Policy, mixed


def _forward(module: nnx.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)


class NNXMixed(nnx.Module):
    """An NNX module whose products run in the narrow format of a policy.

    The wrapped module stays unchanged under `.module`: its parameters keep their type, and optimizers and checkpoints
    see them. Changes to other variables (running statistics, random counters) are written back. See `precision.mixed`.

    Args:
        module: Any NNX module.
        policy: A policy, or the name of its compute format.

    Example:
        >>> import jax.numpy as jnp
        >>> model = NNXMixed(nnx.Linear(1, 2, kernel_init=nnx.initializers.ones, rngs=nnx.Rngs(0)), "bf16")
        >>> model(jnp.full((1, 1), 1 + 2.0**-9)).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, module: nnx.Module, policy: Policy | str = "bfloat16") -> None:
        self.module = module
        self.policy = policy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the inner module under the policy."""
        return self.call_mixed(_forward, *args, **kwargs)

    def call_mixed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `fn(module, *args, **kwargs)` on a copy of the inner module under the policy."""
        run, params, rest = unbound(self.module, fn)
        return written(self.module, mixed(run, self.policy)(params, rest, *args, **kwargs))


def unbound(module: nnx.Module, fn: Callable[..., Any]) -> tuple[Callable[..., Any], Any, Any]:
    """A call of a copy as a function of parameters and other variables, which it also returns; and both of them."""
    graph, params, rest = _split(module, nnx.Param, ...)

    def run(params: Any, rest: Any, *args: Any, **kwargs: Any) -> Any:
        copy = nnx.merge(graph, params, rest)
        return fn(copy, *args, **kwargs), nnx.state(copy, nnx.Not(nnx.Param))

    # A split shares the variables of the module; mapping creates new ones.
    return run, params, jax.tree.map(lambda x: x, rest)


def written(module: nnx.Module, result: tuple[Any, Any]) -> Any:
    """The output of such a call; the variables that it changed are those of the module then."""
    out, after = result
    if jax.tree.leaves(after):
        nnx.update(module, after)
    return out
