"""Input scales: kernels that are rounded after a scale of their inputs, which the product takes back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, on_values
from compressjax.core._checks import read_statistics
from compressjax.core._layout import Layout
from compressjax.core._node import dense
from compressjax.core._own import copied
from compressjax.core._unfit import each
from compressjax.numerics._numerics import straight_through, wide
from compressjax.quant._grid import Grid, check_range, quantize
from compressjax.saliency._layout import layout
from compressjax.tensors import Scaled

# A kernel with more input axes is a convolution, whose window has one scale per channel.
_MOST_AXES = 2


class Reader(NamedTuple):
    """A kernel, the statistics of its inputs, and its layout."""

    path: str
    kernel: jax.Array
    stats: Any
    shaped: Layout

    def pooled(self, x: jax.Array, how: Callable[..., jax.Array]) -> jax.Array:
        """`[layers, in]`, with one value per channel over the window of a convolution."""
        sizes = [self.kernel.shape[a] for a in self.shaped.inputs]
        window = tuple(range(1, len(sizes))) if len(sizes) > _MOST_AXES else ()
        spread = x.reshape(-1, *sizes)
        return jnp.broadcast_to(how(spread, axis=window, keepdims=True), spread.shape).reshape(len(spread), -1)

    def largest(self) -> jax.Array:
        """Largest magnitude of every input, `[layers, in]`."""
        return self.pooled(self.stats.largest, jnp.max)

    def largest_weights(self) -> jax.Array:
        """Largest magnitude of the weights of every input, `[layers, in]`."""
        return self.pooled(jnp.max(jnp.abs(self.shaped.matrices(wide(self.kernel))), axis=2), jnp.max)

    def on_leaf(self, scale: jax.Array) -> jax.Array:
        """`[layers, in]` as a block scale of the kernel."""
        shape = tuple(1 if a in self.shaped.outputs else n for a, n in enumerate(self.kernel.shape))
        full = self.shaped.leaf(scale[..., None], shape)
        window = self.shaped.inputs[:-1] if len(self.shaped.inputs) > _MOST_AXES else ()
        return full[tuple(slice(1) if a in window else slice(None) for a in range(full.ndim))]


Choose = Callable[[list[Reader]], jax.Array]
Ratio = Callable[[Reader, jax.Array], jax.Array | None]


def scaled_inputs(
    name: str, grid: Grid, needs: tuple[str, ...], shared: Iterable[Iterable[str]], choose: Choose, ratio: Ratio
) -> Compression:
    """A post-training method that rounds `s W` and stores `Scaled(Quantized, 1 / s)`.

    `choose(readers of the same inputs)` returns `s` `[layers, in]`; `ratio(reader, s)` the clipping ratio of blocks.
    """
    groups = [tuple(group) for group in shared]

    def read(flat: Mapping[str, Any], state: Any, stats: Any) -> tuple[Any, Any]:
        return flat, copied(read_statistics(name, needs, flat, stats))

    def encode(flat: Mapping[str, Any], state: Any) -> dict[str, Scaled]:
        stats = state if isinstance(state, dict) else read_statistics(name, needs, flat, None)
        together = _together(name, groups, flat)
        readers = each(name, flat, lambda p: Reader(p, flat[p], stats[p], layout(p, flat[p].shape, stats[p])))
        chosen: dict[tuple[str, ...], jax.Array] = {}

        def node(path: str) -> Scaled:
            group = together[path]
            if group not in chosen:
                chosen[group] = choose([readers[p] for p in group])
            return _node(name, readers[path], chosen[group], grid, ratio)

        return each(name, flat, node)

    def view(flat: Mapping[str, Any], state: Any) -> dict[str, Any]:
        return {path: straight_through(flat[path], dense(node)) for path, node in encode(flat, state).items()}

    return on_values(name, encode=encode, view=view, after_step=read, needs=needs)


def _together(name: str, groups: list[tuple[str, ...]], flat: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The group of every path; a path that no group names is alone."""
    found: dict[str, tuple[str, ...]] = {path: (path,) for path in flat}
    for group in groups:
        missing = sorted(set(group) - set(flat))
        if missing:
            raise ValueError(
                f"{name}: shared= names {missing}, which it does not act on; the kernels that fit are "
                f"{sorted(flat)[:12]}"
            )
        found.update((path, group) for path in group)
    return found


def _node(name: str, reader: Reader, scale: jax.Array, grid: Grid, ratio: Ratio) -> Scaled:
    path, x = reader.path, reader.kernel
    block = reader.on_leaf(scale)
    scaled = (wide(x) * jnp.broadcast_to(block, x.shape)).astype(jnp.float32)
    absmax = None
    if grid.activation == "static":
        absmax = jnp.max(reader.largest() / scale)
        check_range(name, path, absmax)
    node = quantize(path, scaled, grid, ratio(reader, scale), absmax)[0]
    return Scaled(node.convert(x.dtype), 1.0 / block)


def safe(scale: jax.Array, known: jax.Array) -> jax.Array:
    """Scales, with 1 where an input or its weights are always zero, or the scale is not a normal number."""
    fine = known & jnp.isfinite(scale) & (scale > np.finfo(np.float32).tiny)
    return jnp.where(fine, scale, 1.0)
