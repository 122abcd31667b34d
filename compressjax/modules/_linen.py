"""The wrapper for Flax Linen."""

import types
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from compressjax.core import Compression, is_node
from compressjax.interpret import lift
from compressjax.modules._collection import to_collection
from compressjax.modules._variables import COLLECTION, state_of


def _forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)


class Compressed(nn.Module):
    """A Linen module whose forward pass sees its parameters through a compression.

    .. math:: y = f(view(\\theta, s), x), \\qquad s \\leftarrow after\\_step(\\theta, s)

    The parameters keep the names that they have without the wrapper, so a checkpoint of the dense model loads. The
    state `s` (masks, scales, centroids) is the collection `compression`: `variables["compression"]["masks"]["Dense_0"]
    ["kernel"]`. It does not change in a forward pass, unless that is asked for.

    Gradients flow to the dense parameters. While `init` runs the pass is dense, for there is no state before there are
    parameters. Other collections, random streams, `nn.scan` and `nn.remat` work inside the wrapper and around it.

    Two ways to train. With `as_optax`, which also keeps masked weights and their moments at rest: the optimizer moves
    the state, and `modules.with_state` puts it among the variables. With any optimizer: `apply(variables, grads,
    mutable=["compression"], method="before_step")` before the step and `method="after_step"`, which returns the
    parameters, after it; masks and grids need the latter only.

    A compression for each layer is a `core.partition`. Where a view has nodes, the module runs through `lift`.

    Attributes:
        module: Any Linen module.
        compression: Any compression whose steps keep the structure of its state.

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
        """Takes the place of the inner module, so that names of parameters stay what they were."""
        nn.share_scope(self, self.module)

    def __call__(self, *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """The inner module's forward pass on the viewed parameters; arguments as for `call_viewed`."""
        return self.call_viewed(_forward, *args, update=update, **kwargs)

    def call_viewed(self, fn: Callable[..., Any], *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """Calls a function of the inner module while its parameters are viewed.

        Args:
            fn: `fn(module, *args, **kwargs)`.
            *args: Passed on.
            update: Whether to bring the state up to the parameters first; needs `mutable=["compression"]`.
            **kwargs: Passed on.

        Returns:
            What the function returns.

        Raises:
            ValueError: If the state is missing, or to be updated and not mutable.
        """
        if self.is_initializing():
            out = fn(self.module, *args, **kwargs)
            self._put(self.compression.init(self._params()))
            return out
        if update:
            self.after_step()
        viewed = self.compression.view(self._params(), self._held())
        if any(map(is_node, jax.tree.leaves(viewed, is_leaf=is_node))):
            return self._lifted(viewed, lambda module: fn(module, *args, **kwargs))

        def view(collections: Any) -> Any:
            return {**collections, "params": viewed}

        def run(wrapper: "Compressed", *args: Any, **kwargs: Any) -> Any:
            return fn(wrapper.module, *args, **kwargs)

        return nn.map_variables(run, "params", view)(self, *args, **kwargs)

    def _lifted(self, viewed: Any, fn: Callable[[nn.Module], Any]) -> Any:
        """Runs the inner module, by itself, on parameters that are nodes; what it changes is written back."""
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
        """Turns gradients through the view into those for the optimizer; what the method learns moves in its state.

        Args:
            grads: Gradients in the structure of the parameters, taken at these parameters.
            slopes: Gradients with respect to the state, for methods that learn by them.

        Returns:
            Gradients for the optimizer; the new state is written to the collection `compression`, which must be
            mutable. `as_optax` calls this by itself.

        Raises:
            ValueError: If the collection is not mutable.
        """
        received, state = self.compression.before_step(grads, self._params(), self._writable(), slopes)
        self._put(state)
        return received

    def after_step(self, stats: Any = None) -> Any:
        """Brings the state up to the parameters, which are those after the optimizer's step.

        Args:
            stats: Statistics by path, for methods that read them.

        Returns:
            The parameters, moved to where the method wants them; the new state is written to the collection
            `compression`.

        Raises:
            ValueError: If the collection is not mutable, or the state would change its structure.
        """
        before = self._writable()
        params, state = self.compression.after_step(self._params(), before, stats)
        old, new = (str(jax.tree.structure(x)) for x in (before, state))
        if old != new:
            raise ValueError(
                f"{self.compression.name}: the step turns the state {old} into {new}, which variables cannot hold; "
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
        # A collection that may be written is made when it is absent, as Linen does with every variable.
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
