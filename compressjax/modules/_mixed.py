"""The wrapper of mixed precision for Flax Linen."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn

from compressjax.precision import Policy, mixed


def _forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)


class Mixed(nn.Module):
    """A Linen module whose products run in the narrow format of a policy.

    Parameters keep their names and their type, so a checkpoint of the plain module loads. The pass of `init` is plain.
    Running statistics and other collections are computed as reductions and stay wide. See `precision.mixed`.

    Attributes:
        module: Any Linen module; it may contain `Compressed`, and be inside of it.
        policy: A policy, or the name of its compute format.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = Mixed(nn.Dense(2), "bf16")
        >>> x = jnp.full((1, 1), 1 + 2.0**-9)
        >>> variables = {"params": {"kernel": jnp.ones((1, 2)), "bias": jnp.zeros(2)}}
        >>> model.apply(variables, x).tolist()
        [[1.0, 1.0]]
    """

    module: nn.Module
    policy: Policy | str = "bfloat16"

    def setup(self) -> None:
        """Shares the scope of the inner module, so that parameters keep their names."""
        nn.share_scope(self, self.module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the inner module under the policy; arguments as for `call_mixed`."""
        return self.call_mixed(_forward, *args, **kwargs)

    def call_mixed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `fn(module, *args, **kwargs)` on the inner module under the policy."""
        if self.is_initializing():
            return fn(self.module, *args, **kwargs)
        run = mixed(unbound(self, fn), self.policy)
        return written(self, run(self.variables.get("params", {}), *args, **kwargs))


def unbound(wrapper: Any, fn: Callable[..., Any]) -> Callable[..., Any]:
    """A call of the inner module of a wrapper as a function of parameters, which also returns changed variables."""
    others = {name: x for name, x in wrapper.variables.items() if name != "params"}
    mutable = [name for name in {**others, "intermediates": {}} if wrapper.is_mutable_collection(name)]
    inner, rngs = wrapper.module.clone(parent=None), {name: wrapper.make_rng(name) for name in wrapper.scope.rngs}

    def run(params: Any, *args: Any, **kwargs: Any) -> Any:
        return inner.apply({**others, "params": params}, *args, rngs=rngs, mutable=mutable, method=fn, **kwargs)

    return run


def written(wrapper: nn.Module, result: tuple[Any, Any]) -> Any:
    """The output of such a call; the variables that it changed are those of the wrapper then."""
    out, changed = result
    for collection, variables in changed.items():
        for name, x in variables.items():
            wrapper.put_variable(collection, name, x)
    return out
