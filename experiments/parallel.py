"""Three ways to run one body of training code on several devices: `jit`, `shard_map` and `pmap`.

The body sees the rows of its device and three functions of the way: `own` (its part of what all devices know), `mean`
(over the devices), and `roll` (by one example, over the whole batch). Under `jit` the body is the whole batch's, and
XLA splits it.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

WAYS = ("jit", "shard_map", "pmap")
DATA, MODEL = "data", "model"
Batches = tuple[Any, Any]


class Way(NamedTuple):
    """A way to run training code on a mesh.

    Attributes:
        name: One of `WAYS`.
        mesh: Devices, with the axis `data`, over which batches are split, and perhaps `model`, over which arrays are.
    """

    name: str
    mesh: jax.sharding.Mesh

    @property
    def parts(self) -> int:
        """Into how many parts a batch is split."""
        return self.mesh.shape[DATA]

    @property
    def mapped(self) -> bool:
        """Whether the body sees the rows of one device alone."""
        return self.name != "jit"

    @property
    def shared(self) -> bool:
        """Whether the mesh has devices of other processes."""
        return jax.process_count() > 1

    def whole(self, count: int) -> int:
        """Examples in the whole batch, from those that the body sees."""
        return count * self.parts if self.mapped else count

    def own(self, x: jax.Array) -> jax.Array:
        """The body's part of an array `[whole batch, ...]` that all devices hold."""
        if not self.mapped:
            split = NamedSharding(self.mesh, PartitionSpec(DATA))
            return x if len(x) % self.parts else jax.lax.with_sharding_constraint(x, split)
        size = len(x) // self.parts
        return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(DATA) * size, size)

    def mean(self, tree: Any) -> Any:
        """Means over the devices, of gradients and metrics; the one collective of a training step."""
        if not self.mapped:
            return tree
        inexact = lambda x: jnp.issubdtype(jnp.result_type(x), jnp.inexact)  # noqa: E731  # integers have none
        return jax.tree.map(lambda x: jax.lax.pmean(x, DATA) if inexact(x) else x, tree)

    def roll(self, x: jax.Array) -> jax.Array:
        """Each example's predecessor in the whole batch."""
        if not self.mapped:
            return jnp.roll(x, 1, axis=0)
        ring = [(i, (i + 1) % self.parts) for i in range(self.parts)]
        return jnp.concatenate([jax.lax.ppermute(x[-1:], DATA, ring), x[:-1]])

    def synchronized(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        """The function of a Flax module whose BatchNorm takes its moments over the whole batch."""
        if not self.mapped:
            return apply

        def called(next_fun: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
            if isinstance(context.module, nn.BatchNorm):
                object.__setattr__(context.module, "axis_name", DATA)  # modules are frozen; this one lives in the trace
            return next_fun(*args, **kwargs)

        @functools.wraps(apply)
        def run(*args: Any, **kwargs: Any) -> Any:
            with nn.intercept_methods(called):
                return apply(*args, **kwargs)

        return run

    def place(self, tree: Any) -> Any:
        """A tree on the mesh: arrays split over `model` by their last axis where it divides, all others everywhere."""
        return jax.tree.map(lambda x: put(x, NamedSharding(self.mesh, self.spec(x))), tree)

    def spec(self, x: Any) -> PartitionSpec:
        """How `place` splits an array."""
        size, shape = self.mesh.shape.get(MODEL, 1), np.shape(x)
        if size == 1 or len(shape) < 2 or shape[-1] % size:
            return PartitionSpec()
        return PartitionSpec(*[None] * (len(shape) - 1), MODEL)

    def feed(self, rows: np.ndarray, images: np.ndarray, labels: np.ndarray) -> Any:
        """What the compiled steps read: rows of data on the devices, or, of several processes, each one's examples.

        Args:
            rows: `[steps, batch]`.
            images: Training images on the host.
            labels: Training labels on the host.

        Returns:
            Rows, or a pair of images and labels, in the form that `compile` expects.
        """
        if self.name != "pmap":
            if not self.shared:
                return rows
            split = NamedSharding(self.mesh, PartitionSpec(None, DATA))
            return tuple(
                jax.make_array_from_callback(
                    (*rows.shape, *data.shape[1:]), split, lambda at, data=data: data[rows[at[0], at[1]]]
                )
                for data in (images, labels)
            )
        parts = np.moveaxis(rows.reshape(len(rows), self.parts, -1), 1, 0)
        if not self.shared:
            return parts
        mine = [i for i, d in enumerate(self.mesh.devices.ravel()) if d.process_index == jax.process_index()]
        return images[parts[mine]], labels[parts[mine]]

    def compile(self, run: Callable[..., tuple[Any, Any]], state: Any) -> Callable[..., tuple[Any, Any]]:
        """Compiles `(frozen, state, (steps, fed), images, labels) -> (state, metrics)`; the state's memory is reused.

        Args:
            run: The steps, with the functions of this way inside.
            state: The state, placed.

        Returns:
            The function, of the same arguments.
        """
        if self.name == "pmap":
            return _pmapped(run, list(self.mesh.devices.ravel()))
        everywhere, split = PartitionSpec(), PartitionSpec(None, DATA)
        outs = None
        if self.mesh.size > 1:
            outs = (jax.tree.map(lambda x: x.sharding, state), NamedSharding(self.mesh, everywhere))
        if self.name == "shard_map":
            ins = (everywhere, everywhere, (everywhere, split), everywhere, everywhere)
            # Gradients are averaged by `mean`; the check would have JAX sum them a second time.
            run = jax.shard_map(
                run, mesh=self.mesh, in_specs=ins, out_specs=everywhere, axis_names={DATA}, check_vma=False
            )
        return jax.jit(run, donate_argnums=1, out_shardings=outs)


def _pmapped(run: Callable[..., tuple[Any, Any]], devices: list[jax.Device]) -> Callable[..., tuple[Any, Any]]:
    def steps(frozen: Any, state: Any, numbers: Any, fed: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        return run(frozen, state, (numbers, fed), images, labels)

    mapped = jax.pmap(
        steps, DATA, in_axes=(None, None, None, 0, None, None), out_axes=None, devices=devices, donate_argnums=1
    )

    def call(frozen: Any, state: Any, batches: Batches, images: Any, labels: Any) -> tuple[Any, Any]:
        return mapped(frozen, state, *batches, images, labels)

    return call


def put(x: Any, sharding: NamedSharding) -> jax.Array:
    """An array, the same in every process, on devices that may belong to several."""
    if sharding.is_fully_addressable:
        return jax.device_put(x, sharding)
    if jax.dtypes.issubdtype(jnp.result_type(x), jax.dtypes.prng_key):
        # Keys cannot be put on the devices of other processes, their data can.
        return jax.random.wrap_key_data(put(jax.random.key_data(x), sharding), impl=jax.random.key_impl(x))
    return jax.device_put(np.asarray(x), sharding)


def local(tree: Any) -> Any:
    """A tree of whole arrays on the first device of this process; all processes must call it together."""

    def leaf(x: Any) -> Any:
        if not isinstance(x, jax.Array) or len(x.sharding.device_set) == 1:
            return x
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(leaf(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        if not x.is_fully_replicated:
            everywhere = NamedSharding(x.sharding.mesh, PartitionSpec())  # type: ignore[attr-defined]  # of `place`
            x = jax.jit(lambda x: x, out_shardings=everywhere)(x)
        return x.addressable_data(0)

    return jax.tree.map(leaf, tree)
