"""The wrapper for Flax Linen, and what it shares with layers that are made compressed."""

import types
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from compressjax.core import Compression
from compressjax.modules._collection import to_collection
from compressjax.modules._variables import COLLECTION, state_of


class Viewed(nn.Module):
    """What sees its own parameters through its field `compression`, and keeps the state among its variables.

    The base of `Compressed` and of the layers (`Dense`, `Conv`, ...).

    Example:
        >>> issubclass(Compressed, Viewed)
        True
    """

    def seen(self) -> Any:
        """What a function of `through` is called with: the module whose parameters are viewed."""
        return self

    def through(self, fn: Callable[..., Any], *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """Calls a function of the module while its parameters are viewed, or as they are without a compression.

        Args:
            fn: `fn(module, *args, **kwargs)`.
            *args: Passed on.
            update: Whether to update the state from the parameters first; needs `mutable=["compression"]`.
            **kwargs: Passed on.

        Returns:
            What the function returns.

        Raises:
            ValueError: If the state is missing, or to be updated and not mutable.
        """
        if self.compression is None:
            return fn(self.seen(), *args, **kwargs)
        if self.is_initializing():
            out = fn(self.seen(), *args, **kwargs)
            self._put(self.compression.init(self._params()))
            return out
        if update:
            self.update_compression()
        state = self._held()

        def view(collections: Any) -> Any:
            return {**collections, "params": self.compression.view(collections["params"], state)}

        def run(module: "Viewed", *args: Any, **kwargs: Any) -> Any:
            return fn(module.seen(), *args, **kwargs)

        return nn.map_variables(run, "params", view)(self, *args, **kwargs)

    def update_compression(self, grads: Any = None, stats: Any = None) -> Any:
        """Updates the state from the parameters, which are those after the optimizer's step.

        Args:
            grads: Gradients in the structure of the parameters, for methods that read them.
            stats: Statistics by path, for methods that read them.

        Returns:
            The new state, which is also written to the collection `compression`.

        Raises:
            ValueError: If the collection is not mutable, or the state would change its structure.
        """
        before = self._writable()
        state = self.compression.update(before, self._params(), grads, stats)
        old, new = (str(jax.tree.structure(x)) for x in (before, state))
        if old != new:
            raise ValueError(
                f"{self.compression.name}: the update turns the state {old} into {new}, which variables cannot hold; "
                "compress after training, with compress()"
            )
        self._put(state)
        return state

    def receive(self, grads: Any) -> Any:
        """Turns gradients through the view into those for the optimizer; what the method learns moves in its state.

        Args:
            grads: Gradients in the structure of the parameters, taken at these parameters.

        Returns:
            Gradients for the optimizer; the new state is written to the collection `compression`, which must be
            mutable. `as_optax` calls this by itself.

        Raises:
            ValueError: If the collection is not mutable.
        """
        received, state = self.compression.receive(grads, self._params(), self._writable())
        self._put(state)
        return received

    def project(self) -> Any:
        """Moves parameters to where the method wants them after the step and `update_compression`.

        Returns:
            The parameters; `as_optax` folds this into its updates.
        """
        return self.compression.project(self._params(), self._held())

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


def _forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return module(*args, **kwargs)


class Compressed(Viewed):
    """A Linen module whose forward pass sees its parameters through a compression.

    .. math:: y = f(view(\\theta, s), x), \\qquad s \\leftarrow update(s, \\theta)

    The parameters keep the names that they have without the wrapper, so a checkpoint of the dense model loads. The
    state `s` (masks, scales, centroids) is the collection `compression`: `variables["compression"]["masks"]["Dense_0"]
    ["kernel"]`. It does not change in a forward pass, unless that is asked for.

    Gradients flow to the dense parameters. While `init` runs the pass is dense, for there is no state before there are
    parameters. Other collections, random streams, `nn.scan` and `nn.remat` work inside the wrapper and around it.

    Two ways to train. With any optimizer: after each step, `apply(..., mutable=["compression"],
    method="update_compression")`; for methods that learn from gradients, `method="receive"` before the step and
    `method="project"` after the update, too. With `as_optax`, which also keeps masked weights and their moments at
    rest: the optimizer updates the state, and `modules.with_state` puts it among the variables.

    Attributes:
        module: Any Linen module.
        compression: Any compression whose updates keep the structure of its state.

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

    def seen(self) -> Any:
        """The inner module."""
        return self.module

    def __call__(self, *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """The inner module's forward pass on the viewed parameters.

        Args:
            *args: Passed on.
            update: Whether to update the state from the parameters first; needs `mutable=["compression"]`.
            **kwargs: Passed on.

        Returns:
            What the inner module returns.

        Raises:
            ValueError: If the state is missing, or to be updated and not mutable.
        """
        return self.through(_forward, *args, update=update, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Methods of the inner module, run on the viewed parameters."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            inner = vars(self).get("module")
            if name.startswith("_") or not callable(getattr(type(inner), name, None)):
                raise

        def method(module: "Compressed", *args: Any, **kwargs: Any) -> Any:
            return module.through(lambda inner, *a, **k: getattr(inner, name)(*a, **k), *args, **kwargs)

        return types.MethodType(method, self)
