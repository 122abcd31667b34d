"""What a researcher writes in a file of their own: a node with its NumPy decoder, and methods."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import coding, core, tensors


@core.node
class Ternary(core.Node):
    """Minus one, zero or one times a scale for every output."""

    scale: Any = core.value()
    signs: Any = core.buffer()
    source: tuple[str, int] | None = core.meta(default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.signs.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.scale.dtype)

    def materialize(self) -> jax.Array:
        return jnp.broadcast_to(core.dense(self.scale), self.shape) * self.signs.astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        return 2 * (self.size if kept is None else kept) + core.entry_bits(self.scale)

    def dot(self, x: jax.Array, product: core.Product) -> Any:
        if product.sum != (0,) or product.batch:
            return core.Dense("the scales lie on the axis that is summed over")
        out = product.dense(x, self.signs.astype(x.dtype))
        return out * jnp.broadcast_to(core.dense(self.scale), out.shape).astype(out.dtype)


coding.register(Ternary.type_name, dense=lambda fields, meta: fields["scale"] * fields["signs"], entrywise=("signs",))


def ternary(x: jax.Array) -> Ternary:
    """Rounds a matrix `[in, out]`, zero below half of the mean magnitude."""
    size = jnp.abs(x).mean(0, keepdims=True)
    return Ternary(size[0], jnp.where(jnp.abs(x) < size / 2, 0, jnp.sign(x)).astype(jnp.int8), source=("toy", 1))


def ternarize() -> core.Compression:
    """A method that needs no training: every kernel becomes the node."""
    return core.from_encode("ternarize", lambda path, x, stats: ternary(x))


class RisingState(NamedTuple):
    """Steps taken, and masks by path."""

    step: jax.Array
    masks: dict[str, jax.Array]


def rising(share: float = 0.3, steps: int = 2) -> core.Compression:
    """A method that trains: masks what lies below a share of the largest magnitude; the share rises for some steps."""

    def after_step(flat: dict[str, Any], state: RisingState, stats: Any) -> tuple[dict[str, Any], RisingState]:
        level = share * jnp.minimum((state.step + 1) / steps, 1.0)
        kept = {path: state.masks[path] & (jnp.abs(x) >= level * jnp.abs(x).max()) for path, x in flat.items()}
        return flat, RisingState(state.step + 1, kept)

    return core.on_values(
        f"rising(share={share}, steps={steps})",
        init=lambda flat: RisingState(jnp.int32(0), {path: jnp.ones_like(x, bool) for path, x in flat.items()}),
        masks=lambda flat, state: core.Masks(state.masks),
        after_step=after_step,
        encode=lambda flat, state: {path: tensors.Masked(x, state.masks[path]) for path, x in flat.items()},
    )
