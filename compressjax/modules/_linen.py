"""The wrapper for Flax Linen."""

import types
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from compressjax.core import Compression
from compressjax.core._node import has_nodes
from compressjax.interpret import lift
from compressjax.modules._collection import to_collection
from compressjax.modules._variables import COLLECTION, state_of


def _forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)


class Compressed(nn.Module):
    """A Linen module that runs on the compressed view of its parameters.

    .. math:: y = f(view(\\theta, s), x), \\qquad s \\leftarrow after\\_step(\\theta, s)

    The parameters keep their names, so a checkpoint of the dense model loads. The state `s` (masks, scales, centroids)
    is the collection `compression`, for example `variables["compression"]["masks"]["Dense_0"]["kernel"]`. Gradients
    flow to the dense parameters. The pass of `init` is dense. Other collections, random streams, `nn.scan` and
    `nn.remat` work inside the wrapper and around it.

    Train with `as_optax`, which also keeps masked weights and their moments at zero: the optimizer updates the state,
    and `modules.with_state` adds it to the variables. Or train with any optimizer: call `apply(variables, grads,
    mutable=["compression"], method="before_step")` before each step, and `method="after_step"`, which returns the
    parameters, after it. Methods that do not learn, such as masks and grids, need only `after_step`.

    Attributes:
        module: Any Linen module; it runs through `lift` if the view has nodes.
        compression: Any compression whose steps keep the structure of its state; `core.partition` for one per layer.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from compressjax import as_optax, modules, prune
        >>> compression = prune.gradual(0.5, end=3, every=1)
        >>> model = modules.Compressed(nn.Dense(2), compression)
        >>> x, y = jnp.ones((4, 3)), jnp.zeros((4, 2))
        >>> variables = model.init(jax.random.key(0), x)
        >>> tx = as_optax(compression, optax.adamw(0.1))
        >>> opt = tx.init(variables["params"])
        >>> @jax.jit
        ... def step(variables, opt):
        ...     def loss(params):
        ...         return jnp.mean((model.apply({**variables, "params": params}, x) - y) ** 2)
        ...
        ...     grads = jax.grad(loss)(variables["params"])
        ...     updates, opt = tx.update(grads, opt, variables["params"])
        ...     variables = {**variables, "params": optax.apply_updates(variables["params"], updates)}
        ...     return modules.with_state(variables, opt.compression), opt
        >>> for _ in range(3):
        ...     variables, opt = step(variables, opt)
        >>> int(variables["compression"]["masks"]["kernel"].sum())
        3
        >>> type(modules.encode(variables, compression)["params"]["kernel"]).__name__
        'Masked'
    """

    module: nn.Module
    compression: Compression

    def setup(self) -> None:
        """Shares the scope of the inner module, so that parameters keep their names."""
        nn.share_scope(self, self.module)

    def __call__(self, *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """Runs the inner module on the viewed parameters; arguments as for `call_viewed`."""
        return self.call_viewed(_forward, *args, update=update, **kwargs)

    def call_viewed(self, fn: Callable[..., Any], *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """Calls `fn(module, *args, **kwargs)` on the inner module with the viewed parameters.

        `update=True` calls `after_step` first, and needs `mutable=["compression"]`.
        """
        if self.is_initializing():
            out = fn(self.module, *args, **kwargs)
            self._put(self.compression.init(self._params()))
            return out
        if update:
            self.after_step()
        viewed = self.compression.view(self._params(), self._held())
        if has_nodes(viewed):
            return self._lifted(viewed, lambda module: fn(module, *args, **kwargs))

        def view(collections: Any) -> Any:
            return {**collections, "params": viewed}

        def run(wrapper: "Compressed", *args: Any, **kwargs: Any) -> Any:
            return fn(wrapper.module, *args, **kwargs)

        return nn.map_variables(run, "params", view)(self, *args, **kwargs)

    def _lifted(self, viewed: Any, fn: Callable[[nn.Module], Any]) -> Any:
        """Runs an unbound copy of the inner module on parameters that are nodes, and writes its changes back."""
        others = {name: x for name, x in self.variables.items() if name not in ("params", COLLECTION)}
        mutable = [name for name in {**others, "intermediates": {}} if self.is_mutable_collection(name)]
        scope: Any = self.scope
        inner, rngs = self.module.clone(parent=None), {name: self.make_rng(name) for name in scope.rngs}

        def run(params: Any) -> Any:
            return inner.apply({**others, "params": params}, rngs=rngs, mutable=mutable, method=fn)

        out, changed = lift(run, on_fallback="ignore")(viewed)
        for collection, variables in changed.items():
            for name, x in variables.items():
                self.put_variable(collection, name, x)
        return out

    def before_step(self, grads: Any, slopes: Any = None) -> Any:
        """Turns gradients through the view into gradients for the optimizer, and updates what the method learns.

        `grads` are taken at the held parameters, `slopes` with respect to the state, for methods that learn from them.
        The new state is written to the collection `compression`, which must be mutable. `as_optax` already calls this.
        """
        received, state = self.compression.before_step(grads, self._params(), self._writable(), slopes)
        self._put(state)
        return received

    def after_step(self, stats: Any = None) -> Any:
        """Updates the state for the parameters after the optimizer step, and returns these, which some methods change.

        `stats` are statistics by path, for methods that read them. The new state is written to the collection
        `compression`, which must be mutable.
        """
        before = self._writable()
        params, state = self.compression.after_step(self._params(), before, stats)
        old, new = (str(jax.tree.structure(x)) for x in (before, state))
        if old != new:
            raise ValueError(
                f"{self.compression.name}: the step changes the structure of the state from {old} to {new}; "
                "compress after training, with compress()"
            )
        self._put(state)
        return params

    def _writable(self) -> Any:
        state = self._held()
        if jax.tree.leaves(state) and not self.is_mutable_collection(COLLECTION):
            raise ValueError(f"the state of {self.compression.name} is not mutable; pass mutable=['{COLLECTION}']")
        return state

    def _params(self) -> Any:
        return self.variables.get("params", {})

    def _held(self) -> Any:
        # Create a missing mutable collection, as Linen does with every variable.
        if COLLECTION not in self.variables and self.is_mutable_collection(COLLECTION):
            return self.compression.init(self._params())
        return state_of(self.variables, self.compression)

    def _put(self, state: Any) -> None:
        for name, value in to_collection(state).items():
            self.put_variable(COLLECTION, name, value)

    def __getattr__(self, name: str) -> Any:
        """Methods of the inner module, run on the viewed parameters."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            inner = vars(self).get("module")
            if name.startswith("_") or not callable(getattr(type(inner), name, None)):
                raise

        def method(module: "Compressed", *args: Any, **kwargs: Any) -> Any:
            return module.call_viewed(lambda inner, *a, **k: getattr(inner, name)(*a, **k), *args, **kwargs)

        return types.MethodType(method, self)
